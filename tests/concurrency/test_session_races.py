"""Writers of one session at one moment: each decides under the session's row, and constraints keep it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Final

import pytest
import pytest_asyncio

from livingworld import LivingWorld, Session, World
from livingworld.errors import SessionCleared, SessionNotFound
from livingworld.identifiers import new_id
from livingworld.testing.staged_races import holding
from tests.concurrency.session_staging import THE_SESSION, behind_the_session
from tests.support.staging import deadlocks, kinds, race, same_world
from tests.support.turn_checks import rows

ALL_LONG_SILENT: Final = "UPDATE livingworld.sessions SET heartbeat_at = now() - interval '1 hour'"
AS_THEY_LIE: Final = """
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET enable_indexscan = off', current_database()); END $$
"""
RENEWAL: Final = "UPDATE livingworld.sessions SET heartbeat_at = now() WHERE world_id = $1 AND session_id = $2"
INSERT_INTERACTION: Final = """
    INSERT INTO livingworld.interactions (world_id, session_id, interaction_number, request) VALUES ($1, $2, 1, 'x')
"""


@pytest_asyncio.fixture
async def session(world: World) -> Session:
    return await world.sessions.open(context={"place": "pier"})


WRITES: Final[dict[str, Callable[[World, Session], Coroutine[Any, Any, object]]]] = {
    "task": lambda world, session: world.tasks.create_unless_running(session.id, "narrate", epoch=session.epoch),
    "interaction": lambda world, session: world.interactions.add(session.id, "x", epoch=session.epoch),
    "context": lambda world, session: world.sessions.merge_context(session.id, {"late": 1}, epoch=session.epoch),
}


@pytest.mark.parametrize("clear_first", [True, False])
@pytest.mark.parametrize("write", WRITES)
async def test_a_write_comes_before_a_clear_or_is_refused(
    database_url: str, world: World, session: Session, write: str, *, clear_first: bool
) -> None:
    order = [WRITES[write](world, session), world.sessions.clear(session.id)]
    results = await behind_the_session(database_url, world, session, order[:: -1 if clear_first else 1])

    refused = [result for result in results if isinstance(result, BaseException)]
    assert kinds(refused) == ["SessionCleared"] * clear_first
    of_before = "SELECT count(*) FROM livingworld.tasks WHERE epoch = 1 AND state = 'running'"
    assert await rows(database_url, of_before) == [(0,)]
    assert await world.interactions.recent(session.id) == ()
    left = await world.sessions.get(session.id)
    assert (left.context, left.epoch) == ({}, 2)


async def test_a_write_that_began_before_a_clear_is_refused_without_an_epoch(
    database_url: str, world: World, session: Session
) -> None:
    """Each write waits behind the clear, which is committed first."""
    late = [
        world.interactions.add(session.id, "late"),
        world.interactions.update(session.id, 1, response="late"),
        world.interactions.clear(session.id),
        world.sessions.merge_context(session.id, {"late": 1}),
        world.sessions.set_context(session.id, {"late": 1}, expected_version=2),
        world.tasks.create_unless_running(session.id, "narrate"),
    ]
    await world.interactions.add(session.id, "one")
    cleared, *refused = await behind_the_session(
        database_url, world, session, [world.sessions.clear(session.id), *late]
    )

    assert kinds(refused) == ["SessionCleared"] * len(late)
    assert await world.sessions.get(session.id) == cleared
    assert await world.interactions.recent(session.id) == ()
    task = await world.tasks.create_unless_running(session.id, "narrate")
    assert task.epoch == 2


async def test_a_write_with_a_record_from_before_a_clear_is_refused(world: World, session: Session) -> None:
    cleared = await world.sessions.clear(session.id)
    for late in (
        world.interactions.add(session, "late"),
        world.interactions.clear(session),
        world.sessions.merge_context(session, {"late": 1}),
        world.sessions.set_context(session, {"late": 1}, expected_version=2),
        world.tasks.create_unless_running(session, "narrate"),
    ):
        with pytest.raises(SessionCleared) as refused:
            await late
        assert (refused.value.expected, refused.value.actual) == (1, 2)
    assert (await world.interactions.add(cleared, "on time")).number == 1


@pytest.mark.parametrize("pools", [1, 3])
async def test_many_who_ask_for_a_key_at_once_get_one_session(database_url: str, world: World, pools: int) -> None:
    async with same_world(database_url, world.id, pools=pools) as worlds:
        asked = [worlds[n % pools].sessions.get_or_create("channel", player=f"{n}") for n in range(20)]
        answers = await asyncio.gather(*asked)

    assert len({session.id for session, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1
    assert await rows(database_url, "SELECT count(*) FROM livingworld.sessions") == [(1,)]


async def test_who_asks_for_a_key_waits_for_the_one_who_makes_it(database_url: str, world: World) -> None:
    insert = "INSERT INTO livingworld.sessions (world_id, session_id, key) VALUES ($1, $2, 'channel')"
    theirs = new_id()
    asked = [world.sessions.get_or_create("channel")]
    (answer,) = await race(database_url, insert, [world.id, theirs], asked, blocked=1, commit=True)

    assert answer == (await world.sessions.get(theirs), False)


async def test_a_session_that_is_renewed_while_the_sweeper_waits_for_it_survives(
    database_url: str, world: World, session: Session
) -> None:
    other = await world.sessions.open()
    await rows(database_url, ALL_LONG_SILENT)
    sweep = [world.sessions.expire(timedelta(minutes=30))]
    results = await race(database_url, RENEWAL, [world.id, session.id], sweep, blocked=1, commit=True)

    assert results == [(other.id,)]
    assert (await world.sessions.get(session.id)).context == {"place": "pier"}


async def test_a_sweeper_waits_for_sessions_in_the_order_of_their_ids(
    database_url: str, world: World, session: Session
) -> None:
    """The later session's row lies first in the table, so what takes rows as it finds them has it while it waits."""
    later = await world.sessions.open()
    await world.sessions.heartbeat(session.id)
    await rows(database_url, ALL_LONG_SILENT)
    await rows(database_url, AS_THEY_LIE)
    async with same_world(database_url, world.id, pools=1) as (sweeper,):
        async with holding(database_url, RENEWAL, [world.id, session.id], commit=True) as holder:
            sweep = asyncio.create_task(sweeper.sessions.expire(timedelta(minutes=30)))
            await holder.until_blocked()
            await holder.connection.execute(RENEWAL, world.id, later.id)
        assert await sweep == ()
    assert await deadlocks(database_url) == 0


async def test_two_sweepers_and_renewals_in_every_order_never_deadlock(database_url: str, world: World) -> None:
    opened = [await world.sessions.open() for _ in range(20)]
    await rows(database_url, ALL_LONG_SILENT)
    async with same_world(database_url, world.id, pools=3) as worlds:
        sweeps = [each.sessions.expire(timedelta(minutes=30)) for each in worlds]
        renewals = [worlds[n % 3].sessions.heartbeat(opened[n].id) for n in range(0, 20, 2)]
        results = await asyncio.gather(*sweeps, *renewals, return_exceptions=True)

    expired = [gone for result in results[:3] if isinstance(result, tuple) for gone in result]
    renewed = [result.id for result in results[3:] if isinstance(result, Session)]
    assert all(isinstance(result, Session | SessionNotFound) for result in results[3:])
    assert sorted([*expired, *renewed]) == sorted(each.id for each in opened)
    assert await deadlocks(database_url) == 0


async def test_interactions_of_three_processes_are_numbered_without_a_gap(
    database_url: str, world: World, session: Session
) -> None:
    async def lose(each: World) -> None:
        async with each.transaction() as tx:
            await tx.interactions.add(session.id, "lost")
            raise ZeroDivisionError

    async with same_world(database_url, world.id, pools=3) as worlds:
        adds: list[Coroutine[Any, Any, Any]] = [
            lose(worlds[n % 3]) if n % 4 == 0 else worlds[n % 3].interactions.add(session.id, f"{n}") for n in range(12)
        ]
        await race(database_url, THE_SESSION, [world.id, session.id], adds, blocked=12)

    assert [each.number for each in await world.interactions.recent(session.id)] == list(range(1, 10))


async def test_an_interaction_written_past_the_counter_is_no_second_one(
    database_url: str, world: World, session: Session
) -> None:
    await rows(database_url, INSERT_INTERACTION, world.id, session.id)
    with pytest.raises(Exception, match="pk_interactions"):
        await world.interactions.add(session.id, "one")

    assert (await world.sessions.get(session.id)).last_interaction_number == 0


async def test_every_merge_counts_and_one_replacement_of_a_version_does(
    database_url: str, world: World, session: Session
) -> None:
    async with same_world(database_url, world.id, pools=2) as worlds:
        merges = [worlds[n % 2].sessions.merge_context(session.id, {f"{n}": n}) for n in range(6)]
        await race(database_url, THE_SESSION, [world.id, session.id], merges, blocked=6)
        merged = await world.sessions.get(session.id)
        assert merged.context == {"place": "pier"} | {f"{n}": n for n in range(6)}
        assert merged.context_version == 7
        sets = [worlds[n % 2].sessions.set_context(session.id, {"n": n}, expected_version=7) for n in range(6)]
        results = await race(database_url, THE_SESSION, [world.id, session.id], sets, blocked=6)

    assert kinds(results) == ["Session"] + ["VersionConflict"] * 5
    (winner,) = [result for result in results if isinstance(result, Session)]
    assert await world.sessions.get(session.id) == winner


async def test_a_world_is_purged_while_its_sessions_are_written(
    database_url: str, livingworld: LivingWorld, world: World, session: Session
) -> None:
    async def add_and_create() -> None:
        async with world.transaction() as tx:
            await tx.interactions.add(session.id, "x")
            await tx.characters.get_or_create("Mara")

    purge = livingworld.worlds.purge(world.id)
    results = await behind_the_session(database_url, world, session, [add_and_create(), purge])

    assert kinds(results) == ["NoneType", "NoneType"]
    assert await rows(database_url, "SELECT count(*) FROM livingworld.sessions") == [(0,)]
    assert await deadlocks(database_url) == 0


async def test_an_epoch_that_was_cleared_twice_is_still_told(world: World, session: Session) -> None:
    await world.sessions.clear(session.id)
    await world.sessions.clear(session.id)
    with pytest.raises(SessionCleared) as refused:
        await world.interactions.add(session.id, "x", epoch=1)

    assert (refused.value.expected, refused.value.actual) == (1, 3)
