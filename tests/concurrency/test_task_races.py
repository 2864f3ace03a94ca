"""Owners of tasks at one moment: each decides under the session's row, and constraints keep it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import pytest
import pytest_asyncio

from livingworld import Session, World
from livingworld.errors import AlreadyRunning, TaskSuperseded
from livingworld.testing.staged_races import connected, holding
from tests.concurrency.session_staging import THE_SESSION, behind_the_session
from tests.support.patience import until
from tests.support.staging import deadlocks, kinds, race, same_world
from tests.support.turn_checks import rows, until_found

TASKS_SILENT: Final = "UPDATE livingworld.tasks SET heartbeat_at = now() - interval '1 hour'"
BEAT: Final = "UPDATE livingworld.tasks SET heartbeat_at = now() WHERE world_id = $1 AND session_id = $2"
INSERT_TASK: Final = """
    INSERT INTO livingworld.tasks (world_id, session_id, task_id, kind, epoch, dead_after, when_owner_dies)
    VALUES ($1, $2, gen_random_uuid(), 'narrate', 1, interval '1 minute', 'fail')
"""


@pytest_asyncio.fixture
async def session(world: World) -> Session:
    return await world.sessions.open(context={"place": "pier"})


async def start_naively(url: str, world: World, session: Session) -> str:
    """Look whether one runs, then start one."""
    async with connected(url) as connection:
        runs = await connection.fetchval("SELECT count(*) FROM livingworld.tasks WHERE state = 'running'")
        await connection.execute("SELECT FROM livingworld.sessions WHERE session_id = $1 FOR NO KEY UPDATE", session.id)
        if not runs:
            await connection.execute(INSERT_TASK, world.id, session.id)
    return "started"


async def test_of_eight_who_start_a_task_one_starts_it(database_url: str, world: World, session: Session) -> None:
    ran = 0

    async def start(each: World) -> None:
        nonlocal ran
        async with each.tasks.running(session.id, "narrate"):
            ran += 1
            await everybody.wait()

    async with same_world(database_url, world.id, pools=2) as worlds:
        everybody = asyncio.Event()
        async with holding(database_url, THE_SESSION, [world.id, session.id]) as holder:
            starts = [asyncio.create_task(start(worlds[n % 2])) for n in range(8)]
            await holder.until_blocked(count=8)
        await until(lambda: sum(each.done() for each in starts) == 7 or ran > 1)
        everybody.set()
        results = await asyncio.gather(*starts, return_exceptions=True)

    assert kinds(results) == ["AlreadyRunning"] * 7 + ["NoneType"]
    assert ran == 1
    (task,) = await world.tasks.of_session(session.id)
    assert {each.task.id for each in results if isinstance(each, AlreadyRunning)} == {task.id}


async def test_who_looks_before_it_has_the_lock_fails_at_the_constraint(
    database_url: str, world: World, session: Session
) -> None:
    starts = [start_naively(database_url, world, session) for _ in range(4)]
    results = await race(database_url, THE_SESSION, [world.id, session.id], starts, blocked=4)

    assert kinds(results) == ["UniqueViolationError"] * 3 + ["str"]


async def test_a_task_that_is_started_past_the_lock_is_found(database_url: str, world: World, session: Session) -> None:
    creating = [world.tasks.create_unless_running(session.id, "narrate")]
    results = await race(database_url, INSERT_TASK, [world.id, session.id], creating, blocked=1, commit=True)

    assert kinds(results) == ["AlreadyRunning"]
    assert await rows(database_url, "SELECT count(*) FROM livingworld.tasks") == [(1,)]


async def test_a_result_that_comes_after_a_clear_is_refused(database_url: str, world: World, session: Session) -> None:
    task = await world.tasks.create_unless_running(session.id, "narrate")
    order = [
        world.sessions.clear(session.id),
        world.tasks.create_unless_running(session.id, "narrate", epoch=session.epoch + 1),
        world.tasks.finish(task, "late"),
    ]
    _, successor, late = await behind_the_session(database_url, world, session, order)

    assert isinstance(late, TaskSuperseded)
    assert await world.tasks.get(successor.id) == successor
    assert (await world.tasks.get(task.id)).result is None


async def test_a_task_whose_owner_is_heard_of_meanwhile_is_neither_taken_nor_failed(
    database_url: str, world: World, session: Session
) -> None:
    for policy in ("take_over", "fail"):
        task = await world.tasks.create_unless_running(session.id, "narrate", when_owner_dies=policy)
        for look in (world.tasks.take_over_dead, world.tasks.fail_dead):
            await rows(database_url, TASKS_SILENT)
            if (policy == "fail") == (look == world.tasks.fail_dead):
                looks: list[Any] = [look()]
                results = await race(database_url, BEAT, [world.id, session.id], looks, blocked=1, commit=True)
                assert results in ([None], [()])
                assert (await world.tasks.heartbeat(task)).token == 1
        await world.tasks.finish(await world.tasks.heartbeat(task))


async def test_of_eight_successors_of_a_dead_owner_one_has_the_task(
    database_url: str, world: World, session: Session
) -> None:
    first = await world.tasks.create_unless_running(session.id, "narrate", when_owner_dies="take_over")
    await rows(database_url, TASKS_SILENT)
    async with same_world(database_url, world.id, pools=4) as worlds:
        successors = [worlds[n % 4].tasks.take_over(first.id) for n in range(8)]
        results = await race(database_url, THE_SESSION, [world.id, session.id], successors, blocked=8)

    assert kinds(results) == ["NoneType"] * 7 + ["Task"]
    assert (await world.tasks.get(first.id)).token == 2


async def test_of_four_requests_to_stop_one_is_the_first(database_url: str, world: World, session: Session) -> None:
    task = await world.tasks.create_unless_running(session.id, "narrate")
    requests = [world.tasks.cancel(task.id, reason=f"{n}") for n in range(4)]
    results = await race(database_url, THE_SESSION, [world.id, session.id], requests, blocked=4)

    assert kinds(results) == ["AlreadyCancelling"] * 3 + ["Task"]


@pytest.mark.parametrize("clear_first", [True, False])
async def test_a_clear_and_two_writes_of_one_transaction_in_any_order_never_deadlock(
    database_url: str, world: World, session: Session, *, clear_first: bool
) -> None:
    task = await world.tasks.create_unless_running(session.id, "narrate")

    async def finish_and_add() -> None:
        async with world.transaction() as tx:
            await tx.tasks.finish(task)
            await tx.interactions.add(session.id, "x")

    order: list[Coroutine[Any, Any, Any]] = [finish_and_add(), world.sessions.clear(session.id)]
    results = await behind_the_session(database_url, world, session, order[:: -1 if clear_first else 1])

    assert kinds(results) == (["Session", "TaskSuperseded"] if clear_first else ["NoneType", "Session"])
    assert await deadlocks(database_url) == 0


async def test_who_is_cancelled_while_its_task_is_created_leaves_none_that_runs(
    database_url: str, world: World, session: Session
) -> None:
    async def run() -> None:
        async with world.tasks.running(session.id, "narrate"):
            raise AssertionError

    async with holding(database_url, THE_SESSION, [world.id, session.id]) as holder:
        running = asyncio.create_task(run())
        await holder.until_blocked()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    ended = await until_found(database_url, "SELECT state FROM livingworld.tasks WHERE ended_at IS NOT NULL")

    assert running.cancelled()
    assert ended == [("cancelled",)]
