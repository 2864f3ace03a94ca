"""Watching: woken by a notification where one arrives, by polling where none does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import pytest

from livingworld import Document, MergeResult, World
from livingworld.coordination.documents import writing
from livingworld.postgres.transactions.transaction import Transaction
from tests.support.patience import patiently
from tests.support.staging import same_world
from tests.support.turn_checks import until_found

NEVER = {"poll_interval": 3600, "turn_lease": 4 * 3600}
LISTENING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'"


def watching(world: World, key: str, after_version: int = 0) -> aclosing[AsyncGenerator[Document, Any]]:
    documents: AsyncIterator[Document] = world.documents.watch(key, after_version=after_version)
    return aclosing(cast("AsyncGenerator[Document, Any]", documents))


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Return what is set as soon as a document was looked for."""
    event = asyncio.Event()
    find = writing.find

    async def look(tx: Transaction, key: str, *asked: Any) -> Document | None:  # noqa: ANN401 - a statement and more
        found = await find(tx, key, *asked)
        event.set()
        return found

    monkeypatch.setattr(writing, "find", look)
    return event


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


async def test_a_change_without_a_notification_is_found_by_polling(
    database_url: str, world: World, looked: asyncio.Event
) -> None:
    deaf = {"behind_pooler": True, "poll_interval": 0.05}  # no connection of its own listens
    async with (
        same_world(database_url, world.id, pools=1, **deaf) as (here,),
        watching(here, "bell") as documents,
        patiently(),
    ):
        next_one = asyncio.create_task(anext(documents))
        await looked.wait()
        async with world.transaction() as tx:
            await tx.documents.increment("bell")
        assert (await next_one).value == 1


@pytest.mark.usefixtures("patient_locks")
async def test_the_last_version_arrives_and_none_comes_twice_or_late(database_url: str, world: World) -> None:
    async with (
        same_world(database_url, world.id, pools=3) as worlds,
        watching(world, "bell") as documents,
        patiently(),
        asyncio.TaskGroup() as writers,
    ):
        for number in range(60):
            writers.create_task(worlds[number % 3].documents.increment("bell"))
        seen: list[int] = []
        async for document in documents:
            assert document.version == document.value
            seen.append(document.version)
            if document.version == 60:
                break

    assert seen == sorted(set(seen))
    assert seen[-1] == 60


async def test_versions_that_are_known_are_not_yielded(world: World, looked: asyncio.Event) -> None:
    await world.documents.increment("bell")
    await world.documents.increment("bell")
    async with watching(world, "bell", after_version=1) as documents:
        assert (await anext(documents)).version == 2
    looked.clear()
    async with watching(world, "bell", after_version=2) as documents, patiently():
        next_one = asyncio.create_task(anext(documents))
        await looked.wait()
        await world.documents.increment("bell")
        assert (await next_one).version == 3


async def test_a_watch_that_was_left_leaves_nothing(world: World) -> None:
    notifications = world._shared.services.notifications
    async with watching(world, "bell") as documents:
        waiting = asyncio.create_task(anext(documents))
        while not notifications._subscriptions:
            await asyncio.wait([waiting], timeout=0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    assert notifications._subscriptions == {}


async def test_a_write_notifies_after_its_commit_and_a_refused_one_does_not(world: World) -> None:
    notified: list[str] = []
    world._unit._database.notify = notified.append
    assert await world.documents.set_if("bell", 1, expected=2) is None
    with pytest.raises(ZeroDivisionError):
        async with world.transaction() as tx:
            await tx.documents.increment("bell")
            raise ZeroDivisionError
    assert notified == []

    async with world.transaction() as tx:
        await tx.documents.increment("bell")
        assert notified == []
    await world.documents.increment("bell")

    assert notified == [writing.document_topic(world.id, "bell")] * 2
