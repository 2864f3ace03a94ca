"""No call waits longer than its limit, and the error says what it waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from livingworld import LivingWorld, NewScene
from livingworld.errors import LivingWorldError, LockTimeout, PoolTimeout, StatementTimeout
from livingworld.postgres.locks import lock_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.settings.settings import Settings
from livingworld.testing.staged_races import Connection, holding
from tests.support.aftermath import assert_nothing_left
from tests.support.run_role import url_of_the_run
from tests.support.staging import elsewhere

_QUICK: Final = {
    "pool_size": 1,
    "pool_timeout": timedelta(milliseconds=300),
    "lock_timeout": timedelta(milliseconds=200),
    "statement_timeout": timedelta(milliseconds=400),
    "command_timeout": timedelta(seconds=60),
    "conflict_retries": 0,
    "outage_retries": 0,
}
#: What a slow machine adds; less than the next longer limit.
_MARGIN: Final = timedelta(seconds=25)

pytestmark = pytest.mark.usefixtures("strict_loop")
of_one_node = pytest.mark.one_server("nobody knows whether another node has committed a statement that was cancelled")
with_and_without_pooler = pytest.mark.parametrize("behind_pooler", [False, True])


@asynccontextmanager
async def quick(url: str, **settings: Any) -> AsyncIterator[LivingWorld]:  # noqa: ANN401 - values of fields
    async with LivingWorld.open(Settings.load(database_url=url, **_QUICK | settings)) as opened:
        yield opened


@contextmanager
def within(limit: object) -> Iterator[None]:
    assert isinstance(limit, timedelta)
    began = asyncio.get_running_loop().time()
    yield
    waited = timedelta(seconds=asyncio.get_running_loop().time() - began)
    assert limit * 0.9 <= waited <= limit + _MARGIN


async def test_a_pool_without_a_free_connection_is_a_pool_timeout(database_url: str, observer: Connection) -> None:
    async with quick(database_url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        async with elsewhere(world.transaction()) as tx:
            await tx.characters.get_or_create("Mara")
            with within(_QUICK["pool_timeout"]), pytest.raises(PoolTimeout):
                await world.characters.find("Mara")
        assert await world.characters.find("Mara") is not None
        await assert_nothing_left(livingworld, observer)


@with_and_without_pooler
async def test_a_story_that_somebody_keeps_locked_is_a_lock_timeout(
    *, behind_pooler: bool, database_url: str, observer: Connection
) -> None:
    async with quick(database_url, behind_pooler=behind_pooler) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        writes: list[Awaitable[object]] = [
            world.stories.append_scene(story.id, NewScene("Late.")),
            world.stories.append_scene(story.id, NewScene("Late.", cast=["Mara"])),
            world.stories.update(story.id, expected_version=1, title="Late"),
            world.stories.purge(story.id),
        ]
        async with holding(database_url, "SELECT FROM livingworld.stories WHERE story_id = $1 FOR UPDATE", [story.id]):
            for write in writes:
                with within(_QUICK["lock_timeout"]), pytest.raises(LockTimeout):
                    await write
        assert (await world.stories.append_scene(story.id, NewScene("First."))).number == 1
        await assert_nothing_left(livingworld, observer)


@with_and_without_pooler
async def test_a_name_that_somebody_keeps_locked_is_a_lock_timeout(
    *, behind_pooler: bool, database_url: str, observer: Connection
) -> None:
    async with quick(database_url, behind_pooler=behind_pooler) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        key = lock_key(LockKind.CHARACTER, world.id, "mara")
        async with holding(database_url, "SELECT pg_advisory_xact_lock($1)", [key]):
            with within(_QUICK["lock_timeout"]), pytest.raises(LockTimeout):
                await world.characters.get_or_create("Mara")
        assert (await world.characters.get_or_create("Mara"))[1]
        await assert_nothing_left(livingworld, observer)


async def test_the_lock_timeout_bounds_all_tries_together(database_url: str) -> None:
    async with quick(database_url, conflict_retries=1000) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        key = lock_key(LockKind.CHARACTER, world.id, "mara")
        async with holding(database_url, "SELECT pg_advisory_xact_lock($1)", [key]):
            with within(_QUICK["lock_timeout"]), pytest.raises(LockTimeout):
                await world.characters.get_or_create("Mara")


@with_and_without_pooler
@pytest.mark.parametrize("single", [False, pytest.param(True, marks=of_one_node)])
async def test_a_statement_that_runs_too_long_is_a_statement_timeout(
    *, behind_pooler: bool, single: bool, database_url: str, observer: Connection
) -> None:
    async with quick(database_url, behind_pooler=behind_pooler) as livingworld:
        database = livingworld.worlds._database
        with within(_QUICK["statement_timeout"]), pytest.raises(StatementTimeout):
            await database.run(lambda tx: tx.execute(text("SELECT pg_sleep(60)")), single_statement=single)
        assert (await livingworld.worlds.create("Saltmarsh")).record.version == 1
        await assert_nothing_left(livingworld, observer)


async def test_in_a_joined_transaction_the_callers_limit_is_in_force(database_url: str) -> None:
    engine = create_async_engine(url_of_the_run(database_url))
    try:
        async with quick(database_url) as livingworld, engine.connect() as connection:
            world = await livingworld.worlds.create("Saltmarsh")
            story = await world.stories.create("The Causeway")
            await connection.execute(text("SET LOCAL statement_timeout = '150ms'"))
            lock = "SELECT FROM livingworld.stories WHERE story_id = $1 FOR UPDATE"
            async with holding(database_url, lock, [story.id]):
                with within(timedelta(milliseconds=150)), pytest.raises(StatementTimeout):
                    async with world.join(connection) as tx:
                        await tx.stories.append_scene(story.id, NewScene("Late."))
    finally:
        await engine.dispose()


async def test_a_server_that_cannot_be_reached_is_an_error_at_once() -> None:
    with within(timedelta(0)), pytest.raises(LivingWorldError):
        async with quick("postgresql://nobody@127.0.0.1:1/nowhere") as livingworld:
            await livingworld.worlds.create("Saltmarsh")
