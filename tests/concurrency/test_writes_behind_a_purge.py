"""Race: everything that can be written to a world comes behind the world's purge, or before it: nothing is left."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from types import UnionType
from typing import Any, Final, cast

import pytest

from livingworld import Erased, LivingWorld, Presence
from livingworld.errors import Fenced, NotFound, NothingToRollBack, VersionConflict
from livingworld.schema import metadata
from livingworld.testing.staged_races import connected, holding, until_blocked
from tests.support.every_write import ALONE, WRITES, Write, furnish
from tests.support.patience import until
from tests.support.rotation import rotated
from tests.support.staging import backend_of, deadlocks, done_or_behind, elsewhere, stop

#: Makes a purge wait, at one of its statements, for whoever holds the lock.
GATE: Final = """
    CREATE FUNCTION public.wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(4711);
        RETURN NULL;
    END $$;
    CREATE TRIGGER gate {moment} FOR EACH STATEMENT EXECUTE FUNCTION public.wait_at_the_gate();
"""
#: A commit tries one of so many parts of the writes.
ROTATION: Final = 12
THE_GATE: Final = "SELECT pg_advisory_xact_lock(4711)"
MOMENTS: Final = {
    "before anything is removed": "BEFORE DELETE ON livingworld.branches",
    "when all is removed": "AFTER DELETE ON livingworld.worlds",
}
#: What is told, of things that are not there, other than that.
TOLD: Final[dict[str, type | UnionType]] = {
    "erase": Erased,
    "documents.compare_and_set": VersionConflict,
    "documents.delete": bool,
    "documents.delete, version": VersionConflict,
    "documents.set_if": type(None),
    "memories.forget": int,
    "live.publish": type(None),
    "live.publish, world": type(None),
    "presence.leave": bool,
    "presence.expire": int,
    "text_embeddings.remove": int,
    "presence.heartbeat": Presence | NotFound,  # its row goes last, so it may come before
    "search.index": int,
    "sessions.expire": tuple,
    "tasks.take_over": type(None),
    "tasks.fail_dead": tuple,
    "actions.claim": tuple,
    "scripts.use": NotFound | type(None),
    "ai_models.rollback": NothingToRollBack,
    "cycles.request_stop": bool,
}


async def end_of(write: Write, database_url: str, livingworld: LivingWorld) -> object:
    """Return what becomes of a write that begins while a purge waits at the gate: a result, or an error."""
    there = await furnish(livingworld)
    async with holding(database_url, THE_GATE) as gate:
        purge = asyncio.create_task(livingworld.worlds.purge(there.world.id))
        (purging,) = await gate.until_blocked()
        writing = asyncio.ensure_future(write(there))
        await done_or_behind(writing, database_url, purging)
    await purge
    (result,) = await asyncio.gather(writing, return_exceptions=True)
    return result


async def write_before_a_purge(
    write: Write, database_url: str, livingworld: LivingWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """Write in a transaction that commits when a purge waits for it, or is over."""
    there = await furnish(livingworld)
    async with connected(database_url) as observer, elsewhere(there.world.transaction()) as tx:
        await write(replace(there, world=cast("Any", tx)))
        caplog.set_level(logging.DEBUG)
        caplog.clear()
        purge = asyncio.create_task(livingworld.worlds.purge(there.world.id))
        waiting = [
            asyncio.create_task(until_blocked(observer, by=await backend_of(tx))),
            asyncio.create_task(until_retried(caplog)),
        ]
        await asyncio.wait([purge, *waiting], return_when=asyncio.FIRST_COMPLETED)
        await stop(waiting)
    await purge


async def until_retried(caplog: pytest.LogCaptureFixture) -> None:
    """Wait until a unit has met a row that it does not wait for, and runs again."""
    await until(lambda: "lock awaited" in caplog.text)


async def tables_in_use(url: str) -> list[str]:
    """Return the tables that have a row."""
    async with connected(url) as connection:
        return [
            table.name
            for table in metadata.tables.values()
            if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table.fullname})")  # noqa: S608 - our own names
        ]


@pytest.mark.rotates
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
async def test_every_write_behind_a_purge_is_told_what_is_gone_and_leaves_nothing(
    database_url: str, livingworld: LivingWorld, moment: str
) -> None:
    async with connected(database_url) as connection:
        await connection.execute(GATE.format(moment=moment))

    names = rotated(list(WRITES), ROTATION)
    ends = {name: await end_of(WRITES[name], database_url, livingworld) for name in names}

    assert {name: end for name, end in ends.items() if not isinstance(end, TOLD.get(name, NotFound | Fenced))} == {}
    assert await tables_in_use(database_url) == []
    assert await deadlocks(database_url) == 0


@pytest.mark.rotates
async def test_a_purge_behind_every_write_removes_it(
    database_url: str, livingworld: LivingWorld, caplog: pytest.LogCaptureFixture
) -> None:
    for name in rotated(sorted(WRITES.keys() - ALONE), ROTATION):
        await write_before_a_purge(WRITES[name], database_url, livingworld, caplog)

    assert await tables_in_use(database_url) == []
    assert await deadlocks(database_url) == 0
