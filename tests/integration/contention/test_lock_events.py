"""Long waits, long holds and deadlocks are events with both sides; what is prompt costs no look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import pytest

from livingworld import LivingWorld, NewScene, Settings, Story, TransactionScope, World
from livingworld.errors import DeadlockDetected
from livingworld.observability import events
from livingworld.testing.recorded_events import RecordedEvents, recorded_events
from livingworld.testing.roles import RunAs
from livingworld.testing.staged_races import Connection, connected, holding, until_blocked
from tests.integration.contention.conftest import PATIENT
from tests.support.patience import NEVER, until
from tests.support.staging import THE_STORY, backend_of, elsewhere, stop

pytestmark = pytest.mark.one_server("the report on contention sees the sessions of the node that is asked")

SOON: Final = timedelta(milliseconds=50)
#: The report has what it names: until then the calls have reached the server, whatever else the machine does.
SETTLED: Final = timedelta(seconds=2)
FAR: Final = timedelta(hours=1)
THE_DOCUMENT: Final = "SELECT FROM livingworld.documents WHERE world_id = $1 AND key = $2 FOR UPDATE"

#: Raw sessions say no world, so a look that sees one world at a time does not know whose rows they wait for.
NOT_ISOLATED: Final = pytest.mark.skipif(
    RunAs.chosen() == RunAs(isolated=True), reason="rows that only other programs wait for are not seen"
)


@pytest.fixture
def recorded() -> Iterator[RecordedEvents]:
    with recorded_events() as recorded:
        yield recorded


@asynccontextmanager
async def reporting(url: str, world: World, *, waits: timedelta = FAR, holds: timedelta = FAR) -> AsyncIterator[World]:
    """Give the world as a process sees it that reports early."""
    limits = {"report_lock_waits_after": waits, "report_lock_holds_after": holds}
    settings = Settings.load(database_url=url, call_timeout=NEVER, **limits, **PATIENT)
    async with LivingWorld.open(settings) as livingworld:
        yield await livingworld.worlds.get(world.id)


async def lock(world: World, story: Story) -> None:
    async with world.transaction() as tx:
        await tx.stories.lock(story.id)


async def test_a_long_wait_of_a_transaction_is_told_with_both_sides(
    recorded: RecordedEvents, database_url: str, world: World, story: Story
) -> None:
    async with (
        reporting(database_url, world, waits=SOON) as ours,
        holding(database_url, THE_STORY, [world.id, story.id]) as holder,
    ):
        waiting = asyncio.create_task(lock(ours, story))
        (waiter,) = await holder.until_blocked()
        await until(lambda: recorded.of(events.LOCK_WAIT_LONG), unless=waiting)
        await stop([waiting])

    (told,) = recorded.of(events.LOCK_WAIT_LONG)
    assert (told["kind"], told["world_id"], told["story_id"]) == ("story", str(world.id), str(story.id))
    assert (told["waiter"], told["waiter_statement"], told["calls"]) == (waiter, "SELECT stories", 1)
    assert (told["holder"], told["holder_statement"]) == (holder.pid, "SELECT stories")
    assert (told["holder_state"], told["seconds"] >= SOON.total_seconds()) == ("idle in transaction", True)


async def test_many_calls_that_wait_for_one_row_are_told_once_with_their_number(
    recorded: RecordedEvents, database_url: str, world: World, story: Story
) -> None:
    async with (
        reporting(database_url, world, waits=SETTLED) as ours,
        holding(database_url, THE_STORY, [world.id, story.id]) as holder,
    ):
        renaming = [
            asyncio.create_task(ours.stories.update(story.id, expected_version=1, title=str(number)))
            for number in range(3)
        ]
        await until(lambda: recorded.of(events.LOCK_WAIT_LONG))
        await stop(renaming)

    told, *more = recorded.of(events.LOCK_WAIT_LONG)
    assert not more
    assert (told["kind"], told["story_id"], told["calls"], told["holder"]) == ("story", str(story.id), 3, holder.pid)


async def test_a_call_that_only_polls_is_told_too(
    recorded: RecordedEvents, database_url: str, world: World, story: Story
) -> None:
    settings = Settings.load(database_url=database_url, pool_size=2, report_lock_waits_after=SOON, **PATIENT)
    async with LivingWorld.open(settings) as livingworld, holding(database_url, THE_STORY, [world.id, story.id]):
        ours = await livingworld.worlds.get(world.id)
        appending = asyncio.create_task(ours.stories.append_scene(story.id, NewScene("One.")))
        await until(lambda: recorded.of(events.LOCK_WAIT_LONG), unless=appending)
        await stop([appending])

    (told,) = recorded.of(events.LOCK_WAIT_LONG)
    assert (told["kind"], told["story_id"], told["calls"]) == ("story", str(story.id), 1)
    assert "waiter" not in told, "its session waits for 25 ms at a time"


@pytest.mark.direct_connection("a pooler hides which sessions are those of this process, whose kinds of locks are told")
async def test_a_long_hold_is_told_with_who_waits(
    recorded: RecordedEvents, database_url: str, world: World, story: Story
) -> None:
    async with (
        reporting(database_url, world, holds=SETTLED) as ours,
        elsewhere(ours.transaction()) as tx,
        connected(database_url) as other,
    ):
        waiting = asyncio.create_task(wait_behind(tx, story, world, other))
        await until(lambda: recorded.of(events.LOCK_HELD_LONG), unless=waiting)
        await stop([waiting])

    (told,) = recorded.of(events.LOCK_HELD_LONG)
    assert (told["kinds"], told["tables"], told["world_id"]) == ("story", "stories", str(world.id))
    assert (told["waiters"], told["waiter"]) == (1, other.get_server_pid())
    assert told["holder_state"] == "idle in transaction"


async def wait_behind(tx: TransactionScope, story: Story, world: World, other: Connection) -> None:
    await tx.stories.lock(story.id)
    await other.execute(THE_STORY, world.id, story.id)


@asynccontextmanager
async def crossed(
    url: str, first: tuple[str, list[Any]], second: tuple[str, list[Any]], *, timeout: str = "1h"
) -> AsyncIterator[tuple[set[int], list[asyncio.Task[Any]]]]:
    """Give two raw sessions that wait for each other, and that PostgreSQL leaves alone for a while."""
    async with connected(url) as one, connected(url) as two:
        for each, (statement, key) in ((one, first), (two, second)):
            await each.execute(f"SET deadlock_timeout = '{timeout}'")
            await each.execute("BEGIN")
            await each.execute(statement, *key)
        tasks = [
            asyncio.create_task(one.execute(second[0], *second[1])),
            asyncio.create_task(two.execute(first[0], *first[1])),
        ]
        try:
            yield {one.get_server_pid(), two.get_server_pid()}, tasks
        finally:
            await stop(tasks)


@NOT_ISOLATED
async def test_a_deadlock_of_other_programs_is_told_before_postgresql_ends_it_and_nothing_is_ended(
    recorded: RecordedEvents, database_url: str, livingworld: LivingWorld, world: World
) -> None:
    stories = [await world.stories.create("One"), await world.stories.create("Two")]
    first, second = ((THE_STORY, [world.id, each.id]) for each in stories)
    async with (
        crossed(database_url, first, second) as (pids, tasks),
        livingworld.watching_locks(every=timedelta(milliseconds=20)),
    ):
        await until(lambda: recorded.of(events.DEADLOCK_AHEAD))
        report = await livingworld.locks()
        assert not any(task.done() for task in tasks)

    (told,) = [each for each in recorded.of(events.DEADLOCK_AHEAD) if each["reason"] == "cycle"]
    assert set(map(int, told["sessions"].split())) == pids
    assert (told["kinds"], told["world_id"], told["statements"]) == (
        "story story",
        str(world.id),
        "SELECT stories; SELECT stories",
    )
    assert [{session.pid for session in cycle} for cycle in report.cycles] == [pids]
    assert not recorded.of(events.DEADLOCK_BROKEN)


@NOT_ISOLATED
async def test_a_wait_out_of_the_declared_order_is_told_although_nothing_is_deadlocked(
    recorded: RecordedEvents, database_url: str, livingworld: LivingWorld, world: World, story: Story
) -> None:
    await world.documents.set("tide", {})
    async with (
        holding(database_url, THE_STORY, [world.id, story.id]) as holder,
        holding(database_url, THE_DOCUMENT, [world.id, "tide"]) as wrong,
        connected(database_url) as third,
        livingworld.watching_locks(every=timedelta(milliseconds=20)),
    ):
        waiting = [
            asyncio.create_task(wrong.connection.execute(THE_STORY, world.id, story.id)),
            asyncio.create_task(third.execute(THE_DOCUMENT, world.id, "tide")),
        ]
        await holder.until_blocked(count=2)
        await until(lambda: recorded.of(events.DEADLOCK_AHEAD))
        await stop(waiting)

    (told,) = recorded.of(events.DEADLOCK_AHEAD)
    assert (told["reason"], told["kinds"]) == ("order", "story document")
    assert told["sessions"] == f"{wrong.pid} {third.get_server_pid()}"


@pytest.mark.plain_server("Citus ends this deadlock before PostgreSQL does, and names no other session")
async def test_a_deadlock_that_postgresql_ends_has_the_names_of_both_statements(
    recorded: RecordedEvents, database_url: str, world: World
) -> None:
    made = [await world.stories.create("One"), await world.stories.create("Two")]
    early, late = sorted(made, key=lambda story: story.id)
    async with reporting(database_url, world, waits=SOON) as ours, connected(database_url) as other:
        await other.execute("SET deadlock_timeout = '1h'")
        await other.execute("BEGIN")
        await other.execute(THE_STORY, world.id, late.id)

        with pytest.raises(DeadlockDetected) as broken:
            async with ours.transaction() as tx:
                await tx.stories.lock(early.id)
                waiting = asyncio.create_task(other.execute(THE_STORY, world.id, early.id))
                async with connected(database_url) as observer:
                    await until_blocked(observer, by=await backend_of(tx))
                await tx.stories.lock(late.id)
        await waiting

    (told,) = recorded.of(events.DEADLOCK_BROKEN)
    assert told["statement"] == broken.value.statement == "SELECT stories"
    assert broken.value.others == ("SELECT stories",)
    assert told["others"] == str(broken.value.others)
    assert [each["reason"] for each in recorded.of(events.DEADLOCK_AHEAD)] == ["cycle"]


async def test_what_is_prompt_costs_no_look_at_the_server(livingworld: LivingWorld, world: World, story: Story) -> None:
    async with world.transaction() as tx:
        await tx.stories.lock(story.id)
        await tx.stories.append_scene(story.id, NewScene("One."))

    assert livingworld._process.lock_monitor._looking is None
    assert livingworld._process.database.lock_watch.open_transactions() == {}


async def test_never_two_looks_are_under_way(livingworld: LivingWorld) -> None:
    monitor = livingworld._process.lock_monitor
    monitor.wake()
    first = monitor._looking
    monitor.wake()

    assert first is not None
    assert monitor._looking is first
    await first


async def test_a_look_that_fails_is_told_and_the_next_one_comes(
    recorded: RecordedEvents, livingworld: LivingWorld
) -> None:
    process = livingworld._process
    await process.background.close()
    for number in (1, 2):
        process.lock_monitor.wake()
        await until(lambda: len(recorded.of(events.LOCKS_NOT_SEEN)) == number)  # noqa: B023 - awaited here

    assert [each["error"] for each in recorded.of(events.LOCKS_NOT_SEEN)] == ["Closed", "Closed"]
