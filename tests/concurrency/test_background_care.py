"""Services that care for sessions and tasks while others write to them, and are stopped in the middle."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Final

import pytest
import pytest_asyncio

from livingworld import RunningTask, Session, Task, World
from livingworld.errors import InvalidInput, SessionNotFound, TaskSuperseded
from livingworld.observability import events
from livingworld.testing.recorded_events import recorded_events
from livingworld.testing.staged_races import holding
from tests.support.patience import patiently
from tests.support.staging import deadlocks, same_world
from tests.support.turn_checks import rows, until_found

ALL_LONG_SILENT: Final = "UPDATE livingworld.sessions SET heartbeat_at = now() - interval '1 hour'"
TASKS_SILENT: Final = "UPDATE livingworld.tasks SET heartbeat_at = now() - interval '1 hour'"
RENEWAL: Final = "UPDATE livingworld.sessions SET heartbeat_at = now() WHERE world_id = $1 AND session_id = $2"
ENDED: Final = "SELECT kind FROM livingworld.tasks GROUP BY kind HAVING count(ended_at) = count(*)"
ALL_ENDED: Final = "SELECT WHERE NOT EXISTS (SELECT FROM livingworld.tasks WHERE ended_at IS NULL)"
HANDED_ON: Final = "SELECT FROM livingworld.tasks WHERE token = 2 AND heartbeat_at < now() - dead_after"
ONE_IS_LEFT: Final = "SELECT WHERE (SELECT count(*) FROM livingworld.sessions) = 1"
IDLE: Final = timedelta(minutes=30)
OFTEN: Final = timedelta(milliseconds=10)
SELDOM: Final = timedelta(hours=1)


@pytest_asyncio.fixture
async def session(world: World) -> Session:
    return await world.sessions.open()


async def dead_task(url: str, world: World, session: Session, kind: str = "narrate") -> Task:
    """Return a task whose owner had no heartbeat for long, and which may be taken over."""
    task = await world.tasks.create_unless_running(session.id, kind, when_owner_dies="take_over")
    await rows(url, TASKS_SILENT)
    return task


async def state_of(world: World, task: Task) -> tuple[str, int, Any, str | None]:
    now = await world.tasks.get(task.id)
    return now.state, now.token, now.result, now.error


async def test_a_session_that_is_renewed_while_a_service_waits_for_it_survives(
    database_url: str, world: World, session: Session
) -> None:
    idle = await world.sessions.open()
    await rows(database_url, ALL_LONG_SILENT)
    async with same_world(database_url, world.id, pools=1) as (sweeper,), AsyncExitStack() as stack:
        async with holding(database_url, RENEWAL, [world.id, session.id], commit=True) as holder:
            await stack.enter_async_context(sweeper.sessions.sweeping(idle_for=IDLE, every=OFTEN))
            await holder.until_blocked()
        await until_found(database_url, ONE_IS_LEFT)

    assert (await world.sessions.get(session.id)).id == session.id
    with pytest.raises(SessionNotFound):
        await world.sessions.get(idle.id)


async def test_three_services_remove_what_is_idle_and_fail_what_is_dead(
    database_url: str, world: World, session: Session
) -> None:
    idle = [await world.sessions.open() for _ in range(20)]
    await rows(database_url, ALL_LONG_SILENT)
    await world.sessions.heartbeat(session.id)
    task = await world.tasks.create_unless_running(session.id, "narrate")
    await rows(database_url, TASKS_SILENT)
    async with (
        same_world(database_url, world.id, pools=2) as (one, other),
        world.sessions.sweeping(idle_for=IDLE, every=OFTEN),
        one.sessions.sweeping(idle_for=IDLE, every=OFTEN),
        other.sessions.sweeping(idle_for=IDLE, every=OFTEN),
    ):
        await until_found(database_url, ONE_IS_LEFT)
        await until_found(database_url, ENDED)

    assert len(idle) == 20
    assert await state_of(world, task) == ("failed", 2, None, "the owner sent no heartbeat in time")
    assert await deadlocks(database_url) == 0


async def test_more_than_one_round_holds_is_swept_without_a_pause(database_url: str, world: World) -> None:
    for _ in range(5):
        await asyncio.gather(*(world.sessions.open() for _ in range(30)))
    await rows(database_url, ALL_LONG_SILENT)
    async with world.sessions.sweeping(idle_for=IDLE, every=SELDOM):
        await until_found(database_url, "SELECT WHERE NOT EXISTS (SELECT FROM livingworld.sessions)")


async def test_a_task_is_run_by_its_new_owner_and_another_kind_is_left(
    database_url: str, world: World, session: Session
) -> None:
    other = await dead_task(database_url, world, session, "draw")
    task = await dead_task(database_url, world, session)
    seen: list[Task] = []

    async def narrate(running: RunningTask) -> dict[str, int]:
        seen.append(running.task)
        await running.progress(0.5)
        return {"scene": 1}

    async with world.tasks.taking_over(narrate, kind="narrate", every=OFTEN):
        await until_found(database_url, f"{ENDED} AND kind = 'narrate'")

    assert await state_of(world, task) == ("finished", 2, {"scene": 1}, None)
    assert [each.id for each in seen] == [task.id]
    assert (await world.tasks.get(other.id)).token == 1


#: What becomes of a task of a kind, handled by `stumble`.
BECAME: Final = {
    "raises": "failed",
    "cancels itself": "cancelled",
    "stops": "cancelled",
    "answers no JSON": "failed",
    "works": "finished",
}


async def stumble(running: RunningTask) -> object:
    match running.task.kind:
        case "raises":
            raise ZeroDivisionError
        case "cancels itself":
            raise asyncio.CancelledError
        case "stops":
            raise AssertionError
        case "answers no JSON":
            return object()
    return "done"


async def test_a_handler_that_fails_ends_its_task_and_not_the_service(
    database_url: str, world: World, session: Session
) -> None:
    tasks = {kind: await dead_task(database_url, world, session, kind) for kind in BECAME}
    await world.tasks.cancel(tasks["stops"].id)
    with recorded_events() as recorded:
        async with world.tasks.taking_over(stumble, every=OFTEN):
            await until_found(database_url, ALL_ENDED)

    assert {kind: (await world.tasks.get(task.id)).state for kind, task in tasks.items()} == BECAME
    failed = sorted(fields["error"] for fields in recorded.of(events.TASK_HANDLER_FAILED))
    assert failed == ["InvalidType", "ZeroDivisionError"]


async def test_a_service_that_is_stopped_hands_its_task_on_at_once(
    database_url: str, world: World, session: Session
) -> None:
    task = await dead_task(database_url, world, session)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def narrate(_: RunningTask) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def go_on(running: RunningTask) -> int:
        return running.task.token

    async with world.tasks.taking_over(narrate, every=OFTEN):
        await begun.wait()
    assert ended.is_set()
    async with same_world(database_url, world.id, pools=1) as (other,), other.tasks.taking_over(go_on, every=OFTEN):
        await until_found(database_url, ENDED)

    assert await state_of(world, task) == ("finished", 3, 3, None)


async def test_a_service_that_is_stopped_while_it_takes_a_task_hands_it_on(
    database_url: str, world: World, session: Session
) -> None:
    task = await dead_task(database_url, world, session)

    async def narrate(_: RunningTask) -> None:
        raise AssertionError

    taken = "UPDATE livingworld.sessions SET player = player WHERE world_id = $1 AND session_id = $2"
    async with (
        holding(database_url, taken, [world.id, session.id], commit=True) as holder,
        world.tasks.taking_over(narrate, every=OFTEN),
    ):
        await holder.until_blocked()
    await until_found(database_url, HANDED_ON)

    assert await world.tasks.take_over(task.id) is not None


async def test_several_tasks_are_run_at_once_and_no_more(database_url: str, world: World, session: Session) -> None:
    tasks = [await dead_task(database_url, world, session, f"{number}") for number in range(5)]
    together, working, most = asyncio.Barrier(2), 0, 0

    async def narrate(running: RunningTask) -> None:
        nonlocal working, most
        working += 1
        most = max(most, working)
        if int(running.task.kind) < 4:
            await together.wait()
        working -= 1

    async with world.tasks.taking_over(narrate, every=OFTEN, at_once=2):
        await until_found(database_url, ALL_ENDED)

    assert most == 2
    assert {(await world.tasks.get(task.id)).state for task in tasks} == {"finished"}


async def test_a_handler_that_ignores_the_stop_ends_and_its_service_with_it(
    database_url: str, world: World, session: Session
) -> None:
    task = await dead_task(database_url, world, session)
    begun = asyncio.Event()

    async def narrate(_: RunningTask) -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "at last"
        return "never"

    async with patiently(), world.tasks.taking_over(narrate, every=OFTEN):
        await begun.wait()

    assert await state_of(world, task) == ("finished", 2, "at last", None)


async def test_a_task_that_was_handed_on_is_its_owners_no_more(world: World, session: Session) -> None:
    task = await world.tasks.create_unless_running(session.id, "narrate", when_owner_dies="take_over")
    await world.tasks.hand_on(task)
    successor = await world.tasks.take_over(task.id)

    assert successor is not None
    assert successor.token == 2
    with pytest.raises(TaskSuperseded):
        await world.tasks.finish(task)


async def test_services_refuse_what_they_cannot_do(world: World) -> None:
    async def nothing(_: RunningTask) -> None:
        raise AssertionError

    refused: dict[str, Any] = {
        "idle_for": lambda: world.sessions.sweeping(idle_for=timedelta(0)),
        "every": lambda: world.sessions.sweeping(idle_for=IDLE, every=timedelta(0)),
        "handler": lambda: world.tasks.taking_over(None),  # type: ignore[arg-type]
        "kind": lambda: world.tasks.taking_over(nothing, kind=""),
        "at_once": lambda: world.tasks.taking_over(nothing, at_once=0),
    }
    for field, service in refused.items():
        with pytest.raises(InvalidInput) as invalid:
            async with service():
                raise AssertionError
        assert invalid.value.field == field
