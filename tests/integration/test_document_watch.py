"""Watching: woken by a notification where one arrives, by polling where none does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from livingworld import Document, MergeResult, World
from livingworld.coordination.documents.repository import DocumentRepository
from tests.support.patience import patiently
from tests.support.staging import same_world
from tests.support.turn_checks import until_found

NEVER = {"poll_interval": 3600, "turn_lease": 4 * 3600}
LISTENING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'"


def watching(world: World, key: str, after_version: int = 0) -> aclosing[AsyncGenerator[Document, Any]]:
    documents: AsyncIterator[Document] = world.documents.watch(key, after_version=after_version)
    return aclosing(cast("AsyncGenerator[Document, Any]", documents))


def report_looks(world: World) -> asyncio.Event:
    """Return what is set as soon as somebody has looked for a document."""
    looked = asyncio.Event()
    documents: Any = world.documents
    find = documents._find

    async def look(statement: object) -> object:
        found = await find(statement)
        looked.set()
        return found

    documents._find = look
    return looked


async def test_a_change_in_another_process_wakes_by_notification_alone(database_url: str, world: World) -> None:
    async with (
        same_world(database_url, world.id, pools=2, **NEVER) as (here, there),
        watching(here, "bell") as documents,
        patiently(),
    ):
        next_one = asyncio.create_task(anext(documents))
        await until_found(database_url, LISTENING)
        await there.documents.increment("bell")
        assert (await next_one).version == 1
        for write in (
            there.documents.update("bell", lambda value: {"rung": value}),
            there.documents.merge("bell", base_version=2, changes={"rung": 2}, strategy="manual"),
            there.documents.compare_and_set("bell", 3, expected_version=3),
            there.documents.set_if("bell", 4, expected=3),
        ):
            next_one = asyncio.create_task(anext(documents))
            written = await write
            assert await next_one == (written if not isinstance(written, MergeResult) else written.document)


async def test_a_change_that_nobody_tells_is_found_by_polling(database_url: str, world: World) -> None:
    deaf = {"behind_pooler": True, "poll_interval": 0.05}  # no connection of its own listens
    async with (
        same_world(database_url, world.id, pools=1, **deaf) as (here,),
        watching(here, "bell") as documents,
        patiently(),
    ):
        looked = report_looks(here)
        next_one = asyncio.create_task(anext(documents))
        await looked.wait()
        async with world.transaction() as tx:
            await tx.documents.increment("bell")
        assert (await next_one).value == 1


async def test_the_last_version_arrives_and_none_comes_twice_or_late(database_url: str, world: World) -> None:
    async with (
        same_world(database_url, world.id, pools=3) as worlds,
        watching(world, "bell") as documents,
        patiently(),
    ):
        writers = [asyncio.create_task(worlds[number % 3].documents.increment("bell")) for number in range(60)]
        seen: list[int] = []
        async for document in documents:
            assert document.version == document.value
            seen.append(document.version)
            if document.version == len(writers):
                break
        await asyncio.gather(*writers)

    assert seen == sorted(set(seen))
    assert seen[-1] == 60


async def test_versions_that_are_known_are_not_told(world: World) -> None:
    await world.documents.increment("bell")
    await world.documents.increment("bell")
    async with watching(world, "bell", after_version=1) as documents:
        assert (await anext(documents)).version == 2
    async with watching(world, "bell", after_version=2) as documents, patiently():
        looked = report_looks(world)
        next_one = asyncio.create_task(anext(documents))
        await looked.wait()
        await world.documents.increment("bell")
        assert (await next_one).version == 3


async def test_a_watch_that_was_left_leaves_nothing(world: World) -> None:
    notifications: Any = world.documents._notifications
    async with watching(world, "bell") as documents:
        waiting = asyncio.create_task(anext(documents))
        while not notifications._hearings:
            await asyncio.wait([waiting], timeout=0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    assert notifications._hearings == {}


async def test_a_refused_write_and_one_of_a_transaction_tell_nothing(world: World) -> None:
    told: list[str] = []
    notifications: Any = world.documents._notifications
    notifications.notify = told.append
    assert await world.documents.set_if("bell", 1, expected=2) is None
    async with world.transaction() as tx:
        assert type(tx.documents) is DocumentRepository
        await tx.documents.increment("bell")

    assert told == []
    await world.documents.increment("bell")
    assert len(told) == 1
    assert told[0].isascii()
    assert "bell" not in told[0]
