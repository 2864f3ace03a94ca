"""Actions through the public repository: the order of a lane, claims, endings, limits."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from livingworld import Action, ConflictPolicy, LaneSize, NewAction, Rule, World
from livingworld.errors import (
    ActionEnded,
    ActionExpired,
    ActionNotFound,
    ActionSuperseded,
    AlreadyCancelling,
    QueueFull,
)
from tests.support.action_checks import an_hour_goes_by

#: Long enough for what has to come before it on a machine that has other things to do.
BRIEF = timedelta(minutes=30)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


async def test_a_command_is_stored_and_comes_back_as_it_was_given(world: World) -> None:
    action = await world.actions.enqueue("mara", "walk", {"to": "the quay"}, priority=3, deadline=HOUR)

    assert (action.lane, action.kind, action.payload, action.priority) == ("mara", "walk", {"to": "the quay"}, 3)
    assert (action.state, action.decision, action.attempts, action.number) == ("waiting", "queue", 0, 1)
    assert action.deadline is not None
    assert action.deadline - action.created_at == HOUR
    assert await world.actions.get(action.id) == action
    assert await world.actions.peek("mara") == (action,)


async def test_the_greater_priority_goes_first_and_equal_ones_go_as_they_came(world: World) -> None:
    given = [NewAction("mara", str(place), priority=priority) for place, priority in enumerate((0, 5, 0, 5))]
    await world.actions.enqueue_many(given)

    assert [action.kind for action in await world.actions.peek("mara")] == ["1", "3", "0", "2"]
    assert await drained(world) == ["1", "3", "0", "2"]


async def test_lanes_are_served_by_the_priority_and_the_arrival_of_their_heads(world: World) -> None:
    for lane, priority in (("a", 0), ("b", 1), ("c", 0), ("d", 1)):
        await world.actions.enqueue(lane, "walk", priority=priority)

    assert [action.lane for action in await world.actions.claim(10)] == ["b", "d", "a", "c"]


async def test_one_action_of_a_lane_runs_at_a_time_and_those_of_others_beside_it(world: World) -> None:
    await world.actions.enqueue_many([NewAction("a", "1"), NewAction("a", "2"), NewAction("b", "3")])

    first, other = await world.actions.claim(10)
    assert ({first.kind, other.kind}, await world.actions.claim(10)) == ({"1", "3"}, ())
    assert await world.actions.size() == LaneSize(waiting=1, running=2)
    await world.actions.complete(first)
    (second,) = await world.actions.claim(10)
    assert second.kind == "2"


async def test_a_future_dated_action_does_not_hold_its_lane_up(database_url: str, world: World) -> None:
    await world.actions.enqueue("a", "later", not_before=BRIEF, priority=9)
    await world.actions.enqueue("a", "now")

    assert await drained(world) == ["now"]
    await an_hour_goes_by(database_url)
    assert await drained(world) == ["later"]


async def test_an_action_past_its_deadline_expires_at_the_claim_and_the_next_one_goes(world: World) -> None:
    late = await world.actions.enqueue("a", "late", deadline=timedelta(0))
    await world.actions.enqueue("a", "next")

    assert await drained(world) == ["next"]
    assert (await world.actions.get(late.id)).state == "expired"


async def test_a_deadline_that_ends_while_it_runs_refuses_the_end_and_expires(database_url: str, world: World) -> None:
    await world.actions.enqueue("a", "late", deadline=BRIEF)
    (action,) = await world.actions.claim(ttl=DAY)
    await an_hour_goes_by(database_url)

    with pytest.raises(ActionExpired):
        await world.actions.complete(action)
    assert (await world.actions.get(action.id)).state == "running"
    assert await world.actions.expire(action)
    assert (await world.actions.get(action.id)).state == "expired"


async def test_the_end_is_stored_once_with_its_result(world: World) -> None:
    await world.actions.enqueue("a", "walk")
    (action,) = await world.actions.claim()

    await world.actions.complete(action, {"at": ["the quay"]})
    await world.actions.complete(action, {"at": "elsewhere"})

    done = await world.actions.get(action.id)
    assert (done.state, done.result, done.ended_at is not None) == ("done", {"at": ["the quay"]}, True)
    with pytest.raises(ActionSuperseded):
        await world.actions.fail(action, "too late")


async def test_a_failed_attempt_waits_and_the_last_one_has_failed_with_its_errors(world: World) -> None:
    await world.actions.enqueue_many([NewAction("a", "walk", max_attempts=2)])
    (first,) = await world.actions.claim()
    waiting = await world.actions.fail(first, "the lamp is out", retry_in=HOUR)
    assert (waiting.state, await world.actions.claim()) == ("waiting", ())
    assert waiting.not_before is not None

    again = await world.actions.enqueue("b", "walk", max_attempts=2)
    for error in ("one", "two"):
        (claimed,) = await world.actions.claim()
        again = await world.actions.fail(claimed, error, retry_in=timedelta(0))
    assert (again.state, again.errors, again.attempts) == ("failed", ("one", "two"), 2)
    assert await world.actions.claim() == ()


async def test_a_claim_that_is_not_extended_ends_and_what_is_poison_fails(database_url: str, world: World) -> None:
    await world.actions.enqueue("a", "poison", max_attempts=2)
    (first,) = await world.actions.claim(ttl=BRIEF)
    extended = await world.actions.extend(first, BRIEF)
    assert extended.claimed_until is not None
    assert first.claimed_until is not None
    assert extended.claimed_until > first.claimed_until
    await an_hour_goes_by(database_url)

    (second,) = await world.actions.claim(ttl=BRIEF)
    assert (second.id, second.token, second.attempts) == (first.id, first.token + 1, 2)
    with pytest.raises(ActionSuperseded):
        await world.actions.complete(first)
    await an_hour_goes_by(database_url)
    assert await world.actions.claim() == ()
    assert (await world.actions.get(first.id)).state == "failed"
    assert len((await world.actions.get(first.id)).errors) == 2


async def test_what_is_released_waits_at_its_place_as_if_it_had_not_been_claimed(world: World) -> None:
    await world.actions.enqueue_many([NewAction("a", "1"), NewAction("a", "2")])
    (first,) = await world.actions.claim()

    released = await world.actions.release(first)

    with pytest.raises(ActionSuperseded):
        await world.actions.complete(first)
    assert (released.state, released.attempts) == ("waiting", 0)
    assert await drained(world) == ["1", "2"]


async def test_what_waits_is_cancelled_and_what_runs_is_asked_to_stop(world: World) -> None:
    await world.actions.enqueue_many([NewAction("a", "1"), NewAction("a", "2")])
    (running,) = await world.actions.claim()
    (waiting,) = await world.actions.peek("a")

    assert (await world.actions.cancel(waiting.id, reason="no more")).state == "cancelled"
    asked = await world.actions.cancel(running.id, reason="stop")
    assert (asked.state, asked.cancel_reason) == ("running", "stop")
    with pytest.raises(AlreadyCancelling):
        await world.actions.cancel(running.id)
    with pytest.raises(ActionEnded):
        await world.actions.cancel(waiting.id)
    with pytest.raises(ActionNotFound):
        await world.actions.cancel(uuid4())
    assert (await world.actions.stop(running)).state == "cancelled"


@pytest.mark.parametrize("way", ["fail", "release"])
async def test_what_was_asked_to_stop_does_not_wait_again(world: World, way: str) -> None:
    await world.actions.enqueue("a", "walk")
    (running,) = await world.actions.claim()
    await world.actions.cancel(running.id)

    await (world.actions.fail(running, "no") if way == "fail" else world.actions.release(running))

    assert (await world.actions.get(running.id)).state == "cancelled"


async def test_a_full_lane_refuses_and_leaves_the_others_alone(world: World) -> None:
    await world.actions.limit_lane("a", 2)

    results = await world.actions.enqueue_many([NewAction(lane, "walk") for lane in "aabaab"])

    assert [type(result) for result in results] == [Action, Action, Action, QueueFull, QueueFull, Action]
    with pytest.raises(QueueFull):
        await world.actions.enqueue("a", "walk")
    with pytest.raises(QueueFull):
        await world.actions.enqueue("a", "run", conflict=ConflictPolicy())
    assert await world.actions.size("a") == LaneSize(waiting=2, running=0)
    assert await world.actions.size("unknown") == LaneSize(waiting=0, running=0)


async def test_a_command_that_finds_its_lane_full_replaces_nothing(world: World) -> None:
    await world.actions.limit_lane("a", 1)
    await world.actions.enqueue("a", "walk")
    (running,) = await world.actions.claim()
    await world.actions.enqueue("a", "speak")

    with pytest.raises(QueueFull):
        await world.actions.enqueue("a", "walk", conflict=ConflictPolicy((Rule("walk", "walk", "replace"),)))

    assert (await world.actions.get(running.id)).cancel_requested_at is None
    assert await world.actions.size("a") == LaneSize(waiting=1, running=1)


async def test_the_same_id_again_returns_what_is_stored(world: World) -> None:
    key = uuid4()
    first = await world.actions.enqueue("a", "walk", id=key)

    assert await world.actions.enqueue("a", "walk", id=key) == first
    assert await world.actions.enqueue("a", "walk", id=key, conflict="reject") == first
    assert await world.actions.size("a") == LaneSize(waiting=1, running=0)


async def test_what_is_over_can_be_forgotten_and_the_rest_stays(world: World) -> None:
    await world.actions.enqueue_many([NewAction("a", "1"), NewAction("a", "2")])
    (first,) = await world.actions.claim()
    await world.actions.complete(first)

    assert await world.actions.forget("a", ended_for=HOUR) == 0
    assert await world.actions.forget("a", ended_for=timedelta(0)) == 1
    assert [action.kind for action in (await world.actions.commands("a")).items] == ["2"]


async def test_commands_come_in_pages_in_the_order_they_came(world: World) -> None:
    await world.actions.enqueue_many([NewAction("a", str(place), priority=place) for place in range(5)])

    page = await world.actions.commands("a", limit=3)
    rest = await world.actions.commands("a", after=page.next, limit=3)

    assert [action.kind for action in (*page.items, *rest.items)] == ["0", "1", "2", "3", "4"]
    assert rest.next is None


async def drained(world: World) -> list[str]:
    """Claim and complete until nothing is due, and return the kinds in the order of their claims."""
    kinds = []
    while claimed := await world.actions.claim():
        kinds += [action.kind for action in claimed]
        for action in claimed:
            await world.actions.complete(action)
    return kinds
