"""Tasks of a session: one of a kind, asked to stop with an answer, and ended by its owner alone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio

from livingworld import RunningTask, Session, Task, World
from livingworld.errors import (
    AlreadyCancelling,
    AlreadyRunning,
    Fenced,
    TaskCancelled,
    TaskEnded,
    TaskNotFound,
    TaskSuperseded,
)
from livingworld.observability import events
from livingworld.testing.recorded_events import recorded_events
from tests.support.patience import NEVER, patiently, until
from tests.support.staging import same_world
from tests.support.turn_checks import rows, until_found

SILENT = "UPDATE livingworld.tasks SET heartbeat_at = now() - interval '1 hour' WHERE task_id = $1"
MOST_OF_THE_LIMIT_GOES_BY = "UPDATE livingworld.tasks SET heartbeat_at = heartbeat_at - dead_after * 0.8"
HEARD_OF_AGAIN = "SELECT FROM livingworld.tasks WHERE heartbeat_at > now() - dead_after * 0.5"
#: So long that no machine is too slow for a heartbeat.
DEAD_AFTER = timedelta(hours=1)
SILENT_ALL = "UPDATE livingworld.tasks SET heartbeat_at = now() - interval '1 hour'"


@pytest_asyncio.fixture
async def session(world: World) -> Session:
    return await world.sessions.open()


async def test_one_of_a_kind_runs_in_a_session(world: World, session: Session) -> None:
    task = await world.tasks.create_unless_running(session.id, "narrate", payload={"n": 1})
    with pytest.raises(AlreadyRunning) as refused:
        await world.tasks.create_unless_running(session.id, "narrate")
    assert refused.value.task == task

    another_kind = await world.tasks.create_unless_running(session.id, "draw")
    elsewhere = await world.tasks.create_unless_running((await world.sessions.open()).id, "narrate")
    assert len({task.id, another_kind.id, elsewhere.id}) == 3
    await world.tasks.finish(task, {"scene": 1})
    successor = await world.tasks.create_unless_running(session.id, "narrate")
    assert [each.id for each in await world.tasks.of_session(session.id)] == [successor.id, another_kind.id, task.id]


async def test_a_task_tells_its_progress_and_its_result(world: World, session: Session) -> None:
    task = await world.tasks.create_unless_running(session.id, "narrate")
    told = await world.tasks.progress(task, {"done": 0.5})
    assert told.progress == {"done": 0.5}
    assert told.heartbeat_at > task.heartbeat_at
    ended = await world.tasks.finish(task, [1, None])

    assert (ended.state, ended.result) == ("finished", [1, None])
    assert ended.ended_at is not None
    assert await world.tasks.get(task.id) == ended
    assert await world.tasks.finish(task, "again") == ended
    for late in (world.tasks.fail(task, "x"), world.tasks.heartbeat(task), world.tasks.progress(task, 1)):
        with pytest.raises(TaskSuperseded):
            await late


async def test_a_cancel_is_refused_with_the_reason(world: World, session: Session) -> None:
    with pytest.raises(TaskNotFound):
        await world.tasks.cancel(uuid4())
    task = await world.tasks.create_unless_running(session.id, "narrate")
    asked = await world.tasks.cancel(task.id, reason="the player left")
    assert (asked.state, asked.cancel_reason) == ("running", "the player left")
    with pytest.raises(AlreadyCancelling):
        await world.tasks.cancel(task.id)
    with pytest.raises(AlreadyRunning):
        await world.tasks.create_unless_running(session.id, "narrate")
    assert (await world.tasks.heartbeat(task)).cancel_requested_at == asked.cancel_requested_at
    await world.tasks.stop(task)
    with pytest.raises(TaskEnded) as refused:
        await world.tasks.cancel(task.id)
    assert refused.value.state == "cancelled"


async def test_a_dead_owner_is_succeeded_only_where_the_policy_says_so(
    database_url: str, world: World, session: Session
) -> None:
    first = await world.tasks.create_unless_running(session.id, "narrate", when_owner_dies="take_over")
    assert await world.tasks.take_over(first.id) is None
    assert await world.tasks.take_over_dead() is None
    await rows(database_url, SILENT, first.id)
    with pytest.raises(AlreadyRunning):
        await world.tasks.create_unless_running(session.id, "narrate")
    assert await world.tasks.fail_dead() == ()
    assert await world.tasks.take_over_dead(kind="draw") is None
    second = await world.tasks.take_over_dead(kind="narrate")

    assert second is not None
    assert (second.id, second.token) == (first.id, 2)
    assert await world.tasks.take_over(first.id) is None
    for late in (world.tasks.finish(first), world.tasks.fail(first, "x"), world.tasks.heartbeat(first)):
        with pytest.raises(Fenced):
            await late
    assert (await world.tasks.finish(second, "done")).result == "done"


async def test_a_task_fails_with_its_owner_where_the_policy_says_so(
    database_url: str, world: World, session: Session
) -> None:
    first = await world.tasks.create_unless_running(session.id, "narrate")
    await rows(database_url, SILENT, first.id)
    assert await world.tasks.take_over(first.id) is None
    (failed,) = await world.tasks.fail_dead()
    assert (failed.id, failed.state, failed.error) == (first.id, "failed", "the owner sent no heartbeat in time")
    with pytest.raises(TaskSuperseded):
        await world.tasks.fail(first, "late")

    second = await world.tasks.create_unless_running(session.id, "narrate")
    await rows(database_url, SILENT, second.id)
    third = await world.tasks.create_unless_running(session.id, "narrate")
    assert (await world.tasks.get(second.id)).state == "failed"
    assert (await world.tasks.get(third.id)).state == "running"


async def test_a_running_task_ends_as_its_block_ends(world: World, session: Session) -> None:
    async with world.tasks.running(session.id, "narrate") as run:
        await run.progress(1)
        run.result = await run.while_running(asyncio.sleep(0, "told"))
    assert (await world.tasks.get(run.task.id)).result == "told"

    with pytest.raises(ZeroDivisionError):
        async with world.tasks.running(session.id, "narrate") as run:
            raise ZeroDivisionError("a\x00b")
    failed = await world.tasks.get(run.task.id)
    assert (failed.state, failed.error) == ("failed", "ZeroDivisionError: a\N{REPLACEMENT CHARACTER}b")


async def test_a_cancelled_block_ends_its_task(world: World, session: Session) -> None:
    held = asyncio.Event()

    async def work() -> None:
        async with world.tasks.running(session.id, "narrate"):
            held.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await held.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [each.state for each in await world.tasks.of_session(session.id)] == ["cancelled"]


async def narrate(world: World, session: Session, begun: asyncio.Future[Task], **options: object) -> RunningTask:
    async with world.tasks.running(session.id, "narrate", **options) as run:  # type: ignore[arg-type]
        begun.set_result(run.task)
        await run.while_running(asyncio.Event().wait())
    return run


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"poll_interval": NEVER, "turn_lease": 4 * NEVER}, id="by notification"),
        pytest.param({"behind_pooler": True, "poll_interval": 0.05}, id="by polling"),
    ],
)
async def test_a_request_to_stop_reaches_another_process(
    database_url: str, world: World, session: Session, settings: dict[str, object]
) -> None:
    async with same_world(database_url, world.id, pools=2, **settings) as (one, other):
        begun: asyncio.Future[Task] = asyncio.get_running_loop().create_future()
        running = asyncio.create_task(narrate(one, session, begun, dead_after=DEAD_AFTER))
        task = await begun
        if "behind_pooler" not in settings:
            await until_found(database_url, "SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        await other.tasks.cancel(task.id)
        async with patiently():
            with pytest.raises(TaskCancelled):
                await running

    assert (await world.tasks.get(task.id)).state == "cancelled"


async def test_a_clear_reaches_the_owner_and_its_cleanup_leaves_the_successor(world: World, session: Session) -> None:
    begun: asyncio.Future[Task] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(narrate(world, session, begun))
    await begun
    await world.sessions.clear(session.id)
    successor = await world.tasks.create_unless_running(session.id, "narrate")
    async with patiently():
        with pytest.raises(TaskSuperseded):
            await running

    assert await world.tasks.get(successor.id) == successor


async def test_what_ends_well_but_too_late_is_told_so(world: World, session: Session) -> None:
    with pytest.raises(TaskSuperseded):
        async with world.tasks.running(session.id, "narrate") as run:
            await world.sessions.clear(session.id)
            run.result = "too late"

    assert (await world.tasks.get(run.task.id)).result is None


async def test_a_living_owner_keeps_its_task_far_beyond_the_limit(
    database_url: str, world: World, session: Session, renewed_often: None
) -> None:
    begun: asyncio.Future[Task] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(narrate(world, session, begun, dead_after=DEAD_AFTER))
    task = await begun
    for _ in range(4):
        await rows(database_url, MOST_OF_THE_LIMIT_GOES_BY)
        await until(lambda: rows(database_url, HEARD_OF_AGAIN), unless=running)
    assert await world.tasks.fail_dead() == ()
    await world.tasks.cancel(task.id)
    await asyncio.gather(running, return_exceptions=True)

    assert (await world.tasks.get(task.id)).state == "cancelled"


async def test_a_task_that_was_taken_over_is_owned_until_its_block_ends(
    database_url: str, world: World, session: Session
) -> None:
    first = await world.tasks.create_unless_running(session.id, "narrate", when_owner_dies="take_over")
    await rows(database_url, SILENT, first.id)
    second = await world.tasks.take_over(first.id)
    assert second is not None
    with pytest.raises(TaskSuperseded):
        async with world.tasks.owning(first):
            raise AssertionError
    async with world.tasks.owning(second) as run:
        run.result = 7

    assert (await world.tasks.get(first.id)).result == 7


async def test_what_becomes_of_tasks_is_logged(database_url: str, world: World, session: Session) -> None:
    with recorded_events() as recorded:
        first = await world.tasks.create_unless_running(session.id, "narrate", when_owner_dies="take_over")
        await world.tasks.create_unless_running(session.id, "draw")
        await rows(database_url, SILENT_ALL)
        await world.tasks.take_over(first.id)
        await world.tasks.fail_dead()
        await world.tasks.cancel(first.id)
        await world.sessions.clear(session.id)
        with pytest.raises(ZeroDivisionError):
            async with world.tasks.running(session.id, "narrate"):
                await world.sessions.close(session.id)
                raise ZeroDivisionError
        await world.sessions.expire(timedelta(0))

    assert [fields["token"] for fields in recorded.of(events.TASK_TAKEN_OVER)] == [2]
    assert [fields["tasks"] for fields in recorded.of(events.SESSION_CLEARED)] == [1]
    assert [fields["sessions"] for fields in recorded.of(events.SESSIONS_EXPIRED)] == [1]
    for once in (events.TASK_OWNER_DEAD, events.TASK_CANCEL_REQUESTED, events.TASK_LOST):
        assert len(recorded.of(once)) == 1
