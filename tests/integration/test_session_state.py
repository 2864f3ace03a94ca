"""The state of a database session never changes: what a connection is used for leaves no trace on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from livingworld import LivingWorld, NewScene, Settings, TransactionScope, World
from livingworld.errors import Conflict, LockTimeout, TransactionPoisoned
from livingworld.testing.staged_races import connected, holding
from tests.support.aftermath import engine_of
from tests.support.patience import until
from tests.support.run_role import url_of_the_run
from tests.support.staging import THE_STORY, GaveUp, stop

POOL = 3
SETTINGS = (
    "search_path",
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "default_transaction_isolation",
    "transaction_isolation",
    "session_authorization",
    "role",
    "enable_seqscan",
    "timezone",
)
ADVISORY = """
    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid <= 2
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
STATES = "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'livingworld'"


@pytest.fixture(params=[False, True], ids=["own startup parameters", "behind a pooler"])
async def opened(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[LivingWorld]:
    settings = Settings.load(
        database_url=database_url,
        pool_size=POOL,
        lock_timeout=timedelta(seconds=2),
        conflict_retries=0,
        behind_pooler=request.param,
    )
    async with LivingWorld.open(settings) as livingworld:
        yield livingworld


async def settings_of(connection: AsyncConnection) -> dict[str, str]:
    return {name: str(await connection.scalar(text(f"SHOW {name}"))) for name in SETTINGS}


async def pooled_sessions(livingworld: LivingWorld) -> dict[int, dict[str, str]]:
    """Return the settings of every session of the pool by its process, as the next user would find them."""
    engine = engine_of(livingworld)
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(engine.connect()) for _ in range(POOL)]
        return {
            await connection.scalar(text("SELECT pg_backend_pid()")): await settings_of(connection)
            for connection in connections
        }


async def use_in_every_way(url: str, world: World) -> None:
    """Succeed, be refused, wait too long, be cancelled and be swallowed, some of it at the same time."""
    story, other = await world.stories.create("One"), await world.stories.create("Other")
    await asyncio.gather(*(world.characters.get_or_create(f"Guest {number % 3}") for number in range(12)))
    await asyncio.gather(*(world.stories.append_scene(story.id, NewScene("x")) for _ in range(12)))
    with suppress(Conflict):
        await world.stories.append_scene(story.id, NewScene("x"), expected_head=99)
    with suppress(GaveUp):
        async with world.transaction() as tx:
            await tx.stories.append_scene(story.id, NewScene("x", cast=["Mara"]))
            raise GaveUp

    async def swallow(tx: TransactionScope) -> None:
        with suppress(LockTimeout):
            await tx.stories.lock(other.id)

    async with holding(url, THE_STORY, [world.id, other.id]) as holder:
        cancelled = asyncio.create_task(world.stories.update(other.id, expected_version=1, title="t"))
        await holder.until_blocked()
        await stop([cancelled])
        with pytest.raises(LockTimeout):
            await world.stories.update(other.id, expected_version=1, title="t")
        with pytest.raises(TransactionPoisoned):
            await world.run(swallow)
    await world.stories.purge(other.id)


@pytest.mark.direct_connection("each session of the pool is looked at twice")
async def test_no_session_of_the_pool_is_changed_by_any_use(database_url: str, opened: LivingWorld) -> None:
    before = list((await pooled_sessions(opened)).values())
    world = await opened.worlds.create("Saltmarsh")

    await use_in_every_way(database_url, world)

    after = list((await pooled_sessions(opened)).values())
    assert before[0]["transaction_isolation"] == "read committed"
    assert after == before == [before[0]] * POOL
    async with connected(database_url) as observer:
        assert await observer.fetchval(ADVISORY) == 0
        assert {row["state"] for row in await observer.fetch(STATES)} == {"idle"}


@pytest.mark.direct_connection("sessions of the server are counted")
async def test_every_session_is_used_and_none_is_left_behind(database_url: str, opened: LivingWorld) -> None:
    world = await opened.worlds.create("Saltmarsh")
    await use_in_every_way(database_url, world)

    pool = engine_of(opened).pool
    assert pool.checkedout() == 0  # type: ignore[attr-defined]
    background = opened.worlds._process.background._engine.pool  # for what ends a cancelled statement
    assert pool.checkedin() <= POOL  # type: ignore[attr-defined]
    async with connected(database_url) as observer:

        async def none_is_left() -> bool:
            pooled = pool.checkedin() + background.checkedin()  # type: ignore[attr-defined]
            return bool(len(await observer.fetch(STATES)) == pooled)

        await until(none_is_left)


async def test_a_setting_and_a_lock_of_the_session_would_survive_the_pool(database_url: str) -> None:
    engine = create_async_engine(url_of_the_run(database_url), pool_size=1)
    async with engine.begin() as connection:
        await connection.execute(text("SET search_path = pg_catalog"))
        await connection.execute(text("SELECT pg_advisory_lock(1)"))
    async with engine.connect() as next_user, connected(database_url) as observer:
        assert await next_user.scalar(text("SHOW search_path")) == "pg_catalog"
        assert await observer.fetchval(ADVISORY) == 1
    await engine.dispose()
