"""Sessions and their interactions: what is kept, what is refused, and what a clear leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio

from livingworld import LivingWorld, Session, World
from livingworld.errors import (
    InteractionNotFound,
    InvalidInput,
    SessionCleared,
    SessionClosed,
    SessionNotFound,
    TaskSuperseded,
    VersionConflict,
    WorldNotFound,
)
from tests.support.turn_checks import rows

LONG_AGO = "UPDATE livingworld.sessions SET heartbeat_at = now() - interval '1 hour' WHERE session_id = $1"


@pytest_asyncio.fixture
async def session(world: World) -> Session:
    return await world.sessions.open(player="tom", context={"place": "pier", "lamp": {"lit": False}})


async def test_a_session_is_read_back_as_it_was_opened(world: World, session: Session) -> None:
    assert await world.sessions.get(session.id) == session
    assert (session.player, session.epoch, session.context_version, session.closed_at) == ("tom", 1, 1, None)
    assert session.context == {"place": "pier", "lamp": {"lit": False}}


async def test_the_context_is_replaced_at_the_version_that_was_read(world: World, session: Session) -> None:
    changed = await world.sessions.set_context(session.id, {"a": 1}, expected_version=1)

    assert (changed.context, changed.context_version) == ({"a": 1}, 2)
    with pytest.raises(VersionConflict) as refused:
        await world.sessions.set_context(session.id, {"a": 2}, expected_version=1)
    assert (refused.value.expected, refused.value.actual) == (1, 2)
    assert await world.sessions.get(session.id) == changed


async def test_a_merge_sets_top_level_keys_and_leaves_the_others(world: World, session: Session) -> None:
    merged = await world.sessions.merge_context(session.id, {"lamp": None, "oil": 3})

    assert merged.context == {"place": "pier", "lamp": None, "oil": 3}
    assert merged.context_version == 2


async def test_a_context_does_not_grow_beyond_the_limit_by_merging(world: World, session: Session) -> None:
    await world.sessions.merge_context(session.id, {"a": "x" * 600_000})
    with pytest.raises(InvalidInput):
        await world.sessions.merge_context(session.id, {"b": "x" * 600_000})

    assert "b" not in (await world.sessions.get(session.id)).context


async def test_a_closed_session_takes_no_more_writes_and_closes_once(world: World, session: Session) -> None:
    closed = await world.sessions.close(session.id)

    assert closed.closed_at is not None
    assert await world.sessions.close(session.id) == closed
    for write in (
        world.sessions.heartbeat(session.id),
        world.sessions.merge_context(session.id, {}),
        world.sessions.clear(session.id),
        world.interactions.add(session.id, "x"),
        world.tasks.create_unless_running(session.id, "x"),
    ):
        with pytest.raises(SessionClosed):
            await write


async def test_nothing_is_written_to_a_session_that_is_not_there(
    livingworld: LivingWorld, world: World, session: Session
) -> None:
    other = await livingworld.worlds.create("Fen")
    for read_or_write in (
        other.sessions.get(session.id),
        other.sessions.heartbeat(session.id),
        other.sessions.close(session.id),
        other.interactions.add(session.id, "x"),
        other.tasks.create_unless_running(session.id, "x"),
    ):
        with pytest.raises(SessionNotFound):
            await read_or_write
    assert await other.interactions.recent(session.id) == ()
    await livingworld.worlds.purge(other.id)
    with pytest.raises(WorldNotFound):
        await other.sessions.open()


async def test_interactions_are_numbered_answered_and_read_oldest_first(world: World, session: Session) -> None:
    for text in ("one", "two", "three"):
        await world.interactions.add(session.id, text)
    answered = await world.interactions.update(session.id, 2, response="yes", expected_version=1)

    assert (answered.number, answered.request, answered.response, answered.version) == (2, "two", "yes", 2)
    recent = await world.interactions.recent(session.id, 2)
    assert [(each.number, each.response) for each in recent] == [(2, "yes"), (3, None)]
    with pytest.raises(VersionConflict):
        await world.interactions.update(session.id, 2, response="no", expected_version=1)
    with pytest.raises(InteractionNotFound):
        await world.interactions.update(session.id, 4, response="no")
    with pytest.raises(InvalidInput):
        await world.interactions.update(session.id, 2)


async def test_an_add_that_is_rolled_back_leaves_no_gap(world: World, session: Session) -> None:
    with pytest.raises(ZeroDivisionError):
        async with world.transaction() as tx:
            await tx.interactions.add(session.id, "lost")
            raise ZeroDivisionError
    added = await world.interactions.add(session.id, "kept")

    assert added.number == 1


async def test_clearing_interactions_leaves_the_context_and_goes_on_counting(world: World, session: Session) -> None:
    await world.interactions.add(session.id, "one")
    assert await world.interactions.clear(session.id) == 1
    assert await world.interactions.recent(session.id) == ()
    assert (await world.interactions.add(session.id, "two")).number == 2
    assert (await world.sessions.get(session.id)).context == session.context


async def test_a_clear_empties_cancels_and_refuses_what_comes_from_before(world: World, session: Session) -> None:
    await world.interactions.add(session.id, "one")
    task = await world.tasks.create_unless_running(session.id, "narrate")
    cleared = await world.sessions.clear(session.id)

    assert (cleared.context, cleared.epoch, cleared.context_version) == ({}, 2, 2)
    assert await world.interactions.recent(session.id) == ()
    ended = await world.tasks.get(task.id)
    assert (ended.state, ended.cancel_reason) == ("cancelled", "the session was cleared")
    with pytest.raises(TaskSuperseded):
        await world.tasks.stop(task)
    for late in (
        world.tasks.create_unless_running(session.id, "narrate", epoch=1),
        world.interactions.add(session.id, "late", epoch=1),
        world.interactions.update(session.id, 1, response="late", epoch=1),
        world.interactions.clear(session.id, epoch=1),
        world.sessions.merge_context(session.id, {"late": 1}, epoch=1),
        world.sessions.set_context(session.id, {"late": 1}, expected_version=2, epoch=1),
    ):
        with pytest.raises(SessionCleared):
            await late
    assert (await world.tasks.create_unless_running(session.id, "narrate", epoch=2)).epoch == 2


async def test_only_sessions_without_a_heartbeat_expire_with_everything_in_them(
    database_url: str, world: World, session: Session
) -> None:
    await world.interactions.add(session.id, "one")
    await world.tasks.create_unless_running(session.id, "narrate")
    living = await world.sessions.open()
    await rows(database_url, LONG_AGO, session.id)

    assert await world.sessions.expire(timedelta(minutes=30)) == (session.id,)
    assert await world.sessions.expire(timedelta(minutes=30)) == ()
    assert (await world.sessions.get(living.id)).id == living.id
    left = "SELECT (SELECT count(*) FROM livingworld.interactions), (SELECT count(*) FROM livingworld.tasks)"
    assert await rows(database_url, left) == [(0, 0)]


async def test_a_heartbeat_keeps_a_session(database_url: str, world: World, session: Session) -> None:
    await rows(database_url, LONG_AGO, session.id)
    await world.sessions.heartbeat(session.id)

    assert await world.sessions.expire(timedelta(minutes=30)) == ()


async def test_a_world_is_purged_with_its_sessions(livingworld: LivingWorld, world: World, session: Session) -> None:
    await world.tasks.create_unless_running(session.id, "narrate")
    await livingworld.worlds.purge(world.id)

    with pytest.raises(SessionNotFound):
        await world.sessions.get(session.id)


async def test_bad_input_is_refused_by_name(world: World) -> None:
    nobody = uuid4()
    cases: dict[str, Callable[[], Awaitable[object]]] = {
        "player": lambda: world.sessions.open(player="\x00"),
        "context": lambda: world.sessions.open(context=[]),  # type: ignore[arg-type]
        "expected_version": lambda: world.sessions.set_context(nobody, {}, expected_version=0),
        "epoch": lambda: world.interactions.add(nobody, "x", epoch=0),
        "older_than": lambda: world.sessions.expire(timedelta(seconds=-1)),
        "request": lambda: world.interactions.add(nobody, "\ud800"),
        "number": lambda: world.interactions.update(nobody, 0, response="x"),
        "kind": lambda: world.tasks.create_unless_running(nobody, " "),
        "dead_after": lambda: world.tasks.create_unless_running(nobody, "x", dead_after=timedelta(0)),
        "when_owner_dies": lambda: world.tasks.create_unless_running(nobody, "x", when_owner_dies="x"),  # type: ignore[arg-type]
        "reason": lambda: world.tasks.cancel(nobody, reason="\x00"),
        "task": lambda: world.tasks.finish(nobody),  # type: ignore[arg-type]
    }
    for field, call in cases.items():
        with pytest.raises(InvalidInput) as refused:
            await call()
        assert refused.value.field == field


@pytest.mark.usefixtures("patient_locks")
async def test_many_tasks_of_one_loop_share_a_session(world: World, session: Session) -> None:
    added = await asyncio.gather(*(world.interactions.add(session.id, f"{n}") for n in range(30)))

    assert sorted(each.number for each in added) == list(range(1, 31))
