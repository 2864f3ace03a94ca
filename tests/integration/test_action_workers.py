"""Workers: what they claim they end, however its handler goes, and what they cannot end they give back."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from livingworld import Action, LaneSize, LivingWorld, NewAction, RunningAction, Settings, TransactionScope, World
from livingworld.errors import ActionSuperseded
from tests.support.patience import NEVER, patiently, until
from tests.support.turn_checks import rows, until_found

HOUR = timedelta(hours=1)
ITS_DEADLINE_IS_OVER = "UPDATE livingworld.actions SET deadline = deadline - interval '2 hours'"
MOST_OF_THE_CLAIM_GOES_BY = """
    UPDATE livingworld.actions SET claimed_until = claimed_until - interval '48 minutes' WHERE state = 'running'
"""
EXTENDED = "SELECT FROM livingworld.actions WHERE claimed_until > now() + interval '30 minutes'"


async def test_what_a_handler_returns_is_the_result(world: World) -> None:
    async def walk(running: RunningAction) -> object:
        return {"went": running.action.payload["to"]}

    given = await world.actions.enqueue("mara", "walk", {"to": "the quay"})

    assert await world.actions.worker({"walk": walk}).run_once() == 1
    done = await world.actions.get(given.id)
    assert (done.state, done.result) == ("done", {"went": "the quay"})
    assert await world.actions.worker({"walk": walk}).run_once() == 0


async def test_an_effect_and_the_end_of_its_action_are_one_transaction(world: World) -> None:
    async def effect(tx: TransactionScope) -> object:
        character, _ = await tx.characters.get_or_create("Mara")
        return character.name

    async def birth(running: RunningAction) -> None:
        await running.complete(effect)

    given = await world.actions.enqueue("mara", "birth")
    await world.actions.worker({"birth": birth}).run_once()

    assert (await world.actions.get(given.id)).result == "Mara"
    assert await world.characters.find("Mara") is not None


async def test_an_effect_past_the_deadline_is_rolled_back_and_the_action_expires(
    database_url: str, world: World
) -> None:
    async def birth(running: RunningAction) -> None:
        async def effect(tx: TransactionScope) -> None:
            await tx.characters.get_or_create("Mara")
            await rows(database_url, ITS_DEADLINE_IS_OVER)

        await running.complete(effect)

    given = await world.actions.enqueue("mara", "birth", deadline=HOUR)
    await world.actions.worker({"birth": birth}).run_once()

    assert (await world.actions.get(given.id)).state == "expired"
    assert await world.characters.find("Mara") is None


async def test_a_failing_handler_is_tried_again_and_fails_for_good_with_all_its_errors(world: World) -> None:
    async def fall(_: RunningAction) -> None:
        message = "the plank is gone"
        raise ValueError(message)

    (given,) = await world.actions.enqueue_many([NewAction("mara", "walk", max_attempts=2)])
    assert isinstance(given, Action)
    worker = world.actions.worker({"walk": fall}, retry_in=lambda _: timedelta(0))

    runs = 0
    while (await world.actions.get(given.id)).state == "waiting":
        runs += await worker.run_once()  # 0 while an extension of the claim, which came late, has the lane

    assert (runs, await worker.run_once()) == (2, 0)
    failed = await world.actions.get(given.id)
    assert (failed.state, failed.errors) == ("failed", ("ValueError: the plank is gone",) * 2)


async def test_a_kind_without_a_handler_fails_as_an_attempt_does(world: World) -> None:
    given = await world.actions.enqueue("mara", "fly")

    assert await world.actions.worker({}).run_once() == 1
    waiting = await world.actions.get(given.id)
    assert (waiting.state, waiting.attempts, len(waiting.errors)) == ("waiting", 1, 1)


async def test_no_more_run_at_once_than_are_allowed(world: World) -> None:
    at_once: list[int] = []
    now = 0
    three = asyncio.Event()

    async def walk(_: RunningAction) -> None:
        nonlocal now
        now += 1
        at_once.append(now)
        if now == 3:
            three.set()
        await three.wait()
        await asyncio.sleep(0.01)  # time for one too many
        now -= 1

    await world.actions.enqueue_many([NewAction(f"lane {number}", "walk") for number in range(20)])
    async with world.actions.worker({"walk": walk}, concurrency=3).running():
        await until_empty(world)

    assert max(at_once) == 3


async def test_a_running_worker_is_woken_by_new_work_without_polling(database_url: str) -> None:
    settings = Settings.load(database_url=database_url, poll_interval=NEVER, turn_lease=4 * NEVER)
    async with LivingWorld.open(settings) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        walked = asyncio.Event()

        async def walk(_: RunningAction) -> None:
            walked.set()

        async with world.actions.worker({"walk": walk}).running():
            await world.actions.enqueue("mara", "walk")
            async with patiently():
                await walked.wait()


async def test_a_stop_lets_what_runs_finish(world: World) -> None:
    started, go = asyncio.Event(), asyncio.Event()

    async def walk(_: RunningAction) -> str:
        started.set()
        await go.wait()
        return "arrived"

    given = await world.actions.enqueue("mara", "walk")
    async with world.actions.worker({"walk": walk}).running():
        await started.wait()
        asyncio.get_running_loop().call_later(0.05, go.set)

    assert (await world.actions.get(given.id)).result == "arrived"


async def test_a_stop_gives_back_what_does_not_finish_in_time(world: World) -> None:
    started = asyncio.Event()

    async def sleep(_: RunningAction) -> None:
        started.set()
        await asyncio.Event().wait()

    given = await world.actions.enqueue("mara", "sleep")
    async with world.actions.worker({"sleep": sleep}).running(finish_within=timedelta(0)):
        await started.wait()

    returned = await world.actions.get(given.id)
    assert (returned.state, returned.attempts) == ("waiting", 0)


async def test_a_cancelled_round_gives_back_what_it_had(world: World) -> None:
    started = asyncio.Event()

    async def sleep(_: RunningAction) -> None:
        started.set()
        await asyncio.Event().wait()

    await world.actions.enqueue_many([NewAction("a", "sleep"), NewAction("b", "sleep")])
    round_ = asyncio.create_task(world.actions.worker({"sleep": sleep}).run_once())
    await started.wait()
    round_.cancel()
    with pytest.raises(asyncio.CancelledError):
        await round_

    assert await world.actions.size() == LaneSize(waiting=2, running=0)


async def test_a_cancelled_action_stops_its_handler_and_ends(world: World) -> None:
    started = asyncio.Event()

    async def sleep(_: RunningAction) -> None:
        started.set()
        await asyncio.Event().wait()

    given = await world.actions.enqueue("mara", "sleep")
    async with world.actions.worker({"sleep": sleep}).running():
        await started.wait()
        await world.actions.cancel(given.id, reason="enough")
        await until_empty(world)

    cancelled = await world.actions.get(given.id)
    assert (cancelled.state, cancelled.cancel_reason) == ("cancelled", "enough")


async def test_a_replaced_action_stops_and_the_new_one_runs(world: World) -> None:
    started = asyncio.Event()

    async def sleep(_: RunningAction) -> None:
        started.set()
        await asyncio.Event().wait()

    async def walk(_: RunningAction) -> str:
        return "walked"

    given = await world.actions.enqueue("mara", "sleep")
    async with world.actions.worker({"sleep": sleep, "walk": walk}).running():
        await started.wait()
        new = await world.actions.enqueue("mara", "walk", conflict="replace")
        await until_empty(world)

    assert (await world.actions.get(given.id)).state == "cancelled"
    assert (await world.actions.get(new.id)).state == "done"


async def test_a_claim_is_extended_while_its_handler_works(
    database_url: str, world: World, renewed_often: None
) -> None:
    async def walk(_: RunningAction) -> str:
        for _time in range(4):
            await rows(database_url, MOST_OF_THE_CLAIM_GOES_BY)
            await until_found(database_url, EXTENDED)
        assert await world.actions.claim() == ()
        return "arrived"

    given = await world.actions.enqueue("mara", "walk")
    await world.actions.worker({"walk": walk}, ttl=HOUR).run_once()

    assert (await world.actions.get(given.id)).result == "arrived"


async def test_a_worker_that_lost_its_action_writes_nothing_with_it(world: World) -> None:
    lost: list[RunningAction] = []

    async def birth(running: RunningAction) -> None:
        lost.append(running)
        await world.actions.release(running.action)

    async def effect(tx: TransactionScope) -> None:
        await tx.characters.get_or_create("Mara")

    await world.actions.enqueue("mara", "birth")
    await world.actions.worker({"birth": birth}).run_once()
    (again,) = await world.actions.claim()
    with pytest.raises(ActionSuperseded):
        await lost[0].complete(effect)
    await world.actions.complete(again)

    assert await world.characters.find("Mara") is None


async def until_empty(world: World) -> None:
    """Wait until nothing waits and nothing runs."""

    async def empty() -> bool:
        return await world.actions.size() == LaneSize(waiting=0, running=0)

    await until(empty)


async def test_what_a_transaction_gives_is_heard_of_after_its_commit_without_polling(database_url: str) -> None:
    settings = Settings.load(database_url=database_url, poll_interval=NEVER, turn_lease=4 * NEVER)
    async with LivingWorld.open(settings) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        started, ended = asyncio.Event(), asyncio.Event()

        async def sleep(_: RunningAction) -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with world.actions.worker({"sleep": sleep}).running():
            async with world.transaction() as tx:
                given = await tx.actions.enqueue("mara", "sleep")
            async with patiently():
                await started.wait()
            async with world.transaction() as tx:
                await tx.actions.cancel(given.id)
            async with patiently():
                await ended.wait()
