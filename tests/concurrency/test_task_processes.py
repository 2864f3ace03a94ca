"""One session in two real processes: a task has one owner, which is asked to stop, and interactions are numbered."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
import pytest_asyncio

from livingworld import LivingWorld, Session, World
from livingworld.testing.staged_races import holding
from tests.concurrency.programs import PlayerProcess, running
from tests.concurrency.session_staging import THE_SESSION
from tests.support.patience import NEVER
from tests.support.turn_checks import rows, until_found

PROGRAM: Final = Path(__file__).with_name("task_program.py")
SILENT: Final = "UPDATE livingworld.tasks SET heartbeat_at = now() - dead_after * 2"
IT_LISTENS: Final = "SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"


@pytest_asyncio.fixture
async def session(world: World) -> Session:
    return await world.sessions.open()


def owner(
    url: str, world: World, session: Session, *, dead_after: float = 3600, poll: float = 0.1
) -> AbstractAsyncContextManager[PlayerProcess]:
    return running(PROGRAM, url, world.id, session.id, dead_after, poll)


async def test_of_two_starts_in_each_of_two_processes_one_runs(
    database_url: str, world: World, session: Session
) -> None:
    async with owner(database_url, world, session) as one, owner(database_url, world, session) as other:
        async with holding(database_url, THE_SESSION, [world.id, session.id]) as holder:
            one.say("start 2")
            other.say("start 2")
            await holder.until_blocked(count=4)
        answers = [await one.hear(), await other.hear()]
        assert sorted(answers) == ["AlreadyRunning AlreadyRunning", "AlreadyRunning Running"]
        assert len(await world.tasks.of_session(session.id)) == 1
        await (one if "Running" in answers[0].split() else other).do("end")

    assert [task.state for task in await world.tasks.of_session(session.id)] == ["finished"]


async def talk(url: str, world_id: UUID, session_id: UUID) -> None:
    """Add two interactions at once; for a thread with a loop of its own."""
    async with LivingWorld.open(database_url=url) as livingworld:
        world = await livingworld.worlds.get(world_id)
        await asyncio.gather(*(world.interactions.add(session_id, "from a thread") for _ in range(2)))


async def test_interactions_of_tasks_threads_and_processes_are_numbered_without_a_gap(
    database_url: str, world: World, session: Session
) -> None:
    async with owner(database_url, world, session) as one, owner(database_url, world, session) as other:
        async with holding(database_url, THE_SESSION, [world.id, session.id]) as holder:
            one.say("talk 3")
            other.say("talk 3")
            threads = [
                asyncio.create_task(asyncio.to_thread(asyncio.run, talk(database_url, world.id, session.id)))
                for _ in range(2)
            ]
            await holder.until_blocked(count=10)
        assert [await one.hear(), await other.hear()] == ["talked", "talked"]
        await asyncio.gather(*threads)

    found = await world.interactions.recent(session.id)
    assert [interaction.number for interaction in found] == list(range(1, 11))
    assert sorted({interaction.request for interaction in found}) == ["from a process", "from a thread"]


async def test_a_stop_is_heard_in_another_process_without_polling(
    database_url: str, world: World, session: Session
) -> None:
    async with (
        owner(database_url, world, session, poll=NEVER.total_seconds()) as one,
        owner(database_url, world, session) as other,
    ):
        assert await one.do("start 1") == "Running"
        await until_found(database_url, IT_LISTENS)
        one.say("stopped")
        assert await other.do("cancel") == "asked"
        assert await one.hear() == "TaskCancelled"


@pytest.mark.parametrize(("what", "error"), [("cancel", "TaskCancelled"), ("clear", "TaskSuperseded")])
async def test_what_a_transaction_asks_is_heard_in_another_process(
    database_url: str, world: World, session: Session, what: str, error: str
) -> None:
    async with owner(database_url, world, session, poll=NEVER.total_seconds()) as one:
        assert await one.do("start 1") == "Running"
        await until_found(database_url, IT_LISTENS)
        one.say("stopped")
        (task,) = await world.tasks.of_session(session.id)
        async with world.transaction() as tx:
            await (tx.tasks.cancel(task.id) if what == "cancel" else tx.sessions.clear(session.id))
        assert await one.hear() == error


async def test_a_thawed_owner_is_refused_and_leaves_its_successor_alone(
    database_url: str, world: World, session: Session
) -> None:
    async with owner(database_url, world, session) as one, owner(database_url, world, session) as other:
        assert await one.do("start 1") == "Running"
        one.pause()
        await rows(database_url, SILENT)
        assert await other.do("start 1") == "Running"
        one.thaw()
        assert await one.do("stopped") == "TaskSuperseded"
        assert await one.do("end") == "TaskSuperseded"
        assert await other.do("end") == "finished"

    states = [(task.state, task.error) for task in await world.tasks.of_session(session.id)]
    assert states == [("finished", None), ("failed", "the owner sent no heartbeat in time")]


async def test_a_task_of_a_killed_process_is_finished_once_by_one_of_two_services(
    database_url: str, world: World, session: Session
) -> None:
    async with (
        owner(database_url, world, session) as one,
        owner(database_url, world, session) as other,
        owner(database_url, world, session) as third,
    ):
        assert await one.do("lend") == "Running"
        await one.kill()
        await rows(database_url, SILENT)
        async with holding(database_url, THE_SESSION, [world.id, session.id]) as holder:
            assert [await other.do("succeed"), await third.do("succeed")] == ["ready", "ready"]
            await holder.until_blocked(count=2)
        await until_found(database_url, "SELECT FROM livingworld.tasks WHERE state = 'finished'")
        assert [await other.do("end"), await third.do("end")] == ["finished", "finished"]

    (task,) = await world.tasks.of_session(session.id)
    assert (task.state, task.token, task.result) == ("finished", 2, "told")
    assert [each.request for each in await world.interactions.recent(session.id)] == ["owner 2"]
