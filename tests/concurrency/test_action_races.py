"""Races around one lane, staged: PostgreSQL holds the lane's row until everybody waits for it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import pytest

from livingworld import Action, ConflictPolicy, LaneSize, NewAction, Rule, TransactionScope, World, replay
from livingworld.errors import ActionEnded, ActionExpired, ActionSuperseded, LivingWorldError, QueueFull
from livingworld.postgres.transactions.admission import outside
from livingworld.testing.staged_races import connected, holding
from tests.support.action_checks import AN_HOUR_LATER, an_hour_goes_by
from tests.support.staging import deadlocks
from tests.support.turn_checks import rows

THE_LANE: Final = "SELECT FROM livingworld.lanes WHERE world_id = $1 AND lane = $2 FOR NO KEY UPDATE"
THE_LANE_IS_LATE: Final = "UPDATE livingworld.lanes SET running_until = now() - interval '1 second'"
CLAIM_IS_OVER: Final = "UPDATE livingworld.lanes SET running_until = now() WHERE lane = 'mara'"
PAUSE_IS_OVER: Final = "UPDATE livingworld.lanes SET wakes_at = now() WHERE lane = 'mara'"
#: After whatever has begun by then.
AT_THIS_MOMENT: Final = """
    UPDATE livingworld.actions SET deadline = clock_timestamp() WHERE ended_at IS NULL;
    UPDATE livingworld.lanes SET running_until = clock_timestamp()
"""
#: The deadline is over when an hour went by, and the claim is not.
SOON: Final = timedelta(minutes=30)
DAY: Final = timedelta(days=1)


async def test_of_three_takes_of_one_lantern_one_wins_and_all_three_outcomes_are_recorded(
    database_url: str, world: World
) -> None:
    await world.actions.limit_lane("the lantern", 10)
    async with holding(database_url, THE_LANE, [world.id, "the lantern"]) as holder:
        takes = [
            asyncio.create_task(world.actions.enqueue("the lantern", "take", {"by": who}, conflict="reject"))
            for who in ("Mara", "Tom", "Ife")
        ]
        await holder.until_blocked(count=3)
    outcomes = await asyncio.gather(*takes)

    (winner,) = [outcome for outcome in outcomes if outcome.decision == "queue"]
    assert all(outcome.decided_by == (winner.id,) for outcome in outcomes if outcome is not winner)
    assert sorted(outcome.state for outcome in outcomes) == ["rejected", "rejected", "waiting"]
    recorded = (await world.actions.commands("the lantern")).items
    assert [action.number for action in recorded] == [1, 2, 3]
    assert recorded[0].id == winner.id
    assert_replays(ConflictPolicy(default="reject"), recorded)


async def test_two_movements_at_once_leave_one_that_waits(database_url: str, world: World) -> None:
    policy = ConflictPolicy((Rule("walk", "walk", "replace"),))
    await world.actions.limit_lane("mara", 1)
    async with holding(database_url, THE_LANE, [world.id, "mara"]) as holder:
        walks = [asyncio.create_task(world.actions.enqueue("mara", "walk", conflict=policy)) for _ in range(4)]
        await holder.until_blocked(count=4)
    await asyncio.gather(*walks)

    recorded = (await world.actions.commands("mara")).items
    assert [action.state for action in recorded] == ["replaced"] * 3 + ["waiting"]
    assert await world.actions.size("mara") == LaneSize(waiting=1, running=0)
    assert_replays(policy, recorded)


async def test_a_full_lane_is_full_for_all_who_come_at_once(database_url: str, world: World) -> None:
    await world.actions.limit_lane("mara", 2)
    async with holding(database_url, THE_LANE, [world.id, "mara"]) as holder:
        given = [asyncio.create_task(world.actions.enqueue("mara", "walk")) for _ in range(5)]
        await holder.until_blocked(count=5)
    results = await asyncio.gather(*given, return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["Action"] * 2 + ["QueueFull"] * 3
    assert [type(result) for result in results].count(QueueFull) == 3
    assert [action.number for action in await world.actions.peek("mara")] == [1, 2]


@pytest.mark.parametrize("ends", [AN_HOUR_LATER, AT_THIS_MOMENT], ids=["an hour later", "at this moment"])
async def test_a_deadline_that_ends_while_the_lane_is_waited_for_is_over(
    database_url: str, world: World, ends: str
) -> None:
    (action,) = await claimed(world, deadline=SOON)

    async def effect(tx: TransactionScope) -> None:
        await tx.characters.get_or_create("Mara")
        await tx.actions.complete(action)

    async with holding(database_url, THE_LANE, [world.id, "mara"], commit=True) as holder:
        completing = asyncio.create_task(world.run(effect))
        await holder.until_blocked()
        await holder.connection.execute(ends)
    with pytest.raises(ActionExpired):
        await completing

    assert await world.characters.find("Mara") is None
    assert await world.actions.claim() == ()
    assert (await world.actions.get(action.id)).state == "expired"


@pytest.mark.parametrize("first", ["worker", "reaper"])
async def test_of_applied_and_expired_exactly_one_is_true(database_url: str, world: World, first: str) -> None:
    """Race 11: the reaper comes while the worker is about to complete, and the other way round."""
    (action,) = await claimed(world, deadline=SOON)

    async def effect(tx: TransactionScope) -> None:
        await tx.characters.get_or_create("Mara")
        await tx.actions.complete(action)
        if first == "worker":
            reaping = asyncio.create_task(world.actions.claim(), context=outside())
            assert await reaping == ()  # the reaper passes a lane by that is in hand

    if first == "worker":
        await rows(database_url, THE_LANE_IS_LATE)  # the action itself is over once its end was decided
    else:
        await an_hour_goes_by(database_url)
        assert await world.actions.claim() == ()
    (error,) = await asyncio.gather(world.run(effect), return_exceptions=True)
    await world.actions.claim()

    applied = await world.characters.find("Mara") is not None
    state = (await world.actions.get(action.id)).state
    assert (applied, state, type(error)) == (
        (True, "done", type(None)) if first == "worker" else (False, "expired", ActionExpired)
    )


async def test_a_claim_passes_by_a_lane_that_is_in_hand(database_url: str, world: World) -> None:
    await world.actions.enqueue_many([NewAction("mara", "walk", priority=5), NewAction("tom", "walk")])

    async with holding(database_url, THE_LANE, [world.id, "mara"]):
        (action,) = await world.actions.claim(10)
        assert action.lane == "tom"
    assert [action.lane for action in await world.actions.claim(10)] == ["mara"]


@pytest.mark.parametrize("due", [CLAIM_IS_OVER, PAUSE_IS_OVER], ids=["claim", "pause"])
async def test_a_claim_passes_by_a_lane_in_hand_that_it_would_refresh(
    database_url: str, world: World, due: str
) -> None:
    await world.actions.enqueue_many([NewAction("mara", "walk"), NewAction("tom", "walk")])
    async with connected(database_url) as connection:
        await connection.execute(due)

    async with holding(database_url, THE_LANE, [world.id, "mara"]):
        assert [action.lane for action in await world.actions.claim(10)] == ["tom"]


async def test_the_constraint_refuses_a_second_running_action_of_a_lane(database_url: str, world: World) -> None:
    await claimed(world)
    await world.actions.enqueue("mara", "walk")

    async with connected(database_url) as connection:
        with pytest.raises(Exception, match="uq_actions_running"):
            await connection.execute(
                "UPDATE livingworld.actions SET state = 'running', claimed_until = now() WHERE state = 'waiting'"
            )


async def test_a_claim_that_was_taken_over_cannot_end_its_action(database_url: str, world: World) -> None:
    (former,) = await claimed(world, ttl=SOON)
    await an_hour_goes_by(database_url)
    (current,) = await world.actions.claim()
    assert current.token == former.token + 1

    for end in (world.actions.complete, world.actions.release, world.actions.stop, world.actions.extend):
        with pytest.raises(ActionSuperseded):
            await end(former)
    with pytest.raises(ActionSuperseded):
        await world.actions.fail(former, "late")
    assert not await world.actions.expire(former)
    await world.actions.complete(current)
    assert (await world.actions.get(current.id)).state == "done"


async def test_a_claim_and_a_cancellation_meet_and_one_of_both_is_true(database_url: str, world: World) -> None:
    given = await world.actions.enqueue("mara", "walk")
    async with holding(database_url, THE_LANE, [world.id, "mara"]) as holder:
        cancelling = asyncio.create_task(world.actions.cancel(given.id))
        await holder.until_blocked()
        assert await world.actions.claim() == ()
    cancelled = await cancelling

    assert cancelled.state == "cancelled"
    assert await world.actions.claim() == ()


async def test_an_action_that_ends_while_its_cancellation_waits_is_not_cancelled(
    database_url: str, world: World
) -> None:
    (action,) = await claimed(world)
    ending = "SELECT livingworld.complete_action_v1($1, $2, $3, NULL)"
    async with holding(database_url, ending, [world.id, action.id, action.token], commit=True) as holder:
        cancelling = asyncio.create_task(world.actions.cancel(action.id))
        await holder.until_blocked()
    with pytest.raises(ActionEnded):
        await cancelling

    assert (await world.actions.get(action.id)).state == "done"


async def test_lanes_are_locked_in_one_order_by_batches_that_name_them_in_others(
    database_url: str, world: World
) -> None:
    await world.actions.limit_lane("a", 100)
    async with holding(database_url, THE_LANE, [world.id, "a"]) as holder:
        batches = [
            asyncio.create_task(world.actions.enqueue_many([NewAction(lane, "walk") for lane in lanes]))
            for lanes in ("ba", "ab", "cba", "bca")
        ]
        await holder.until_blocked(count=4)
    results = await asyncio.gather(*batches)

    assert await deadlocks(database_url) == 0
    assert all(isinstance(result, Action) for batch in results for result in batch)
    assert (await world.actions.size()).waiting == 10


async def test_two_who_give_each_other_work_never_wait_for_each_other(database_url: str, world: World) -> None:
    """Each holds one lane and wants the other's: the one that is out of order is refused instead of a deadlock."""
    await world.actions.enqueue_many([NewAction("a", "walk"), NewAction("b", "walk")])
    holds = [asyncio.Event(), asyncio.Event()]

    async def work(number: int, lanes: str) -> None:
        async with world.transaction() as tx:
            await tx.actions.enqueue(lanes[0], "go")
            holds[number].set()
            await holds[1 - number].wait()
            await tx.actions.enqueue(lanes[1], "go")

    results = await asyncio.gather(work(0, "ab"), work(1, "ba"), return_exceptions=True)

    names = sorted(type(result).__name__ for result in results)
    assert names == ["LockOrderViolation", "NoneType"]
    assert all(isinstance(result, LivingWorldError | None) for result in results)


async def claimed(world: World, *, deadline: timedelta | None = None, ttl: timedelta = DAY) -> tuple[Action, ...]:
    """Give the lane of Mara one action and claim it."""
    await world.actions.enqueue("mara", "walk", deadline=deadline)
    return await world.actions.claim(ttl=ttl)


def assert_replays(policy: ConflictPolicy, recorded: tuple[Action, ...]) -> None:
    """Fail unless the policy decides about every command as was recorded."""
    decided = {key: (verdict.decision, verdict.by) for key, verdict in replay(policy, recorded).items()}
    assert decided == {action.id: (action.decision, action.decided_by) for action in recorded}
