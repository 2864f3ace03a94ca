"""livingworld inside a transaction of the application's own, which alone decides whether it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from livingworld import NewScene, Story, World
from livingworld.errors import (
    InvalidType,
    LivingWorldError,
    LockOrderViolation,
    LockTimeout,
    TransactionPoisoned,
    UnsafeIsolation,
)
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.testing.staged_races import connected, holding, until_blocked
from tests.support.run_role import url_of_the_run
from tests.support.staging import THE_STORY, GaveUp
from tests.support.story_checks import broken_promises

NOTE = text("INSERT INTO notes VALUES ('read the causeway')")


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Give the application's own engine, and a table of its own."""
    async with connected(database_url) as connection:
        await connection.execute("CREATE TABLE notes (note text); GRANT ALL ON notes TO PUBLIC")
    engine = create_async_engine(url_of_the_run(database_url), poolclass=NullPool)
    yield engine
    await engine.dispose()


async def stored(url: str) -> tuple[int, int, int]:
    """Return how many notes, scenes and characters there are."""
    async with connected(url) as connection:
        tables = ("notes", "livingworld.scenes", "livingworld.characters")
        notes, scenes, characters = [await connection.fetchval(f"SELECT count(*) FROM {name}") for name in tables]  # noqa: S608
    return notes, scenes, characters


async def test_the_callers_commit_stores_both_and_not_before(
    database_url: str, engine: AsyncEngine, world: World, story: Story
) -> None:
    async with engine.connect() as connection:
        await connection.execute(NOTE)
        async with world.join(connection) as tx:
            await tx.stories.append_scene(story.id, NewScene("joined", cast=["Mara"]))
        assert connection.in_transaction()
        assert await stored(database_url) == (0, 0, 0)
        await connection.commit()

    assert await stored(database_url) == (1, 1, 1)
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_the_callers_rollback_takes_both_back(
    database_url: str, engine: AsyncEngine, world: World, story: Story
) -> None:
    async def give_up() -> None:
        async with engine.begin() as connection:
            await connection.execute(NOTE)
            async with world.join(connection) as tx:
                await tx.stories.append_scene(story.id, NewScene("joined"))
            raise GaveUp

    with pytest.raises(GaveUp):
        await give_up()

    assert await stored(database_url) == (0, 0, 0)
    assert (await world.stories.append_scene(story.id, NewScene("next"))).number == 1


async def test_an_orm_session_can_be_joined_and_commits_and_rolls_back(
    database_url: str, engine: AsyncEngine, world: World, story: Story
) -> None:
    async with AsyncSession(engine) as session:
        for end in (session.rollback, session.commit):
            await session.execute(NOTE)
            async with world.join(session) as tx:
                await tx.stories.append_scene(story.id, NewScene("joined"))
                await tx.characters.get_or_create("Mara")
            await end()

    assert await stored(database_url) == (1, 1, 1)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_an_isolation_level_under_which_a_lock_shows_the_past_is_refused(
    database_url: str, engine: AsyncEngine, world: World, level: str
) -> None:
    async with engine.execution_options(isolation_level=level).connect() as connection:
        with pytest.raises(UnsafeIsolation):
            async with world.join(connection):
                pytest.fail("the block must not be entered")
        await connection.execute(NOTE)
        await connection.commit()

    assert await stored(database_url) == (1, 0, 0)


async def test_a_statement_that_failed_inside_is_an_error_at_the_end_of_the_block(
    database_url: str, engine: AsyncEngine, world: World, story: Story
) -> None:
    async def swallow(connection: AsyncConnection) -> None:
        async with world.join(connection) as tx:
            with suppress(LockTimeout):
                await tx.stories.lock(story.id)

    async with holding(database_url, THE_STORY, [world.id, story.id]), engine.connect() as connection:
        await connection.execute(text("SET LOCAL lock_timeout = '20ms'"))
        await connection.execute(NOTE)
        with pytest.raises(TransactionPoisoned):
            await swallow(connection)
        await connection.commit()

    assert await stored(database_url) == (0, 0, 0)


async def test_the_callers_time_limits_and_settings_stay_as_they_were(engine: AsyncEngine, world: World) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SET LOCAL lock_timeout = '1234ms'"))
        async with world.join(connection) as tx:
            await tx.characters.get_or_create("Mara")

        assert await connection.scalar(text("SHOW lock_timeout")) == "1234ms"
        await connection.rollback()


async def test_a_joined_transaction_holds_the_story_until_the_caller_ends_it(
    database_url: str, engine: AsyncEngine, world: World, story: Story
) -> None:
    async with engine.begin() as connection, connected(database_url) as observer:
        async with world.join(connection) as tx:
            await tx.stories.append_scene(story.id, NewScene("first"))
        other = asyncio.create_task(world.stories.append_scene(story.id, NewScene("second")))
        await until_blocked(observer, by=await connection.scalar(text("SELECT pg_backend_pid()")))

    assert (await other).number == 2


@pytest.mark.parametrize("wrong", [None, "postgresql://", object()], ids=["None", "a URL", "an object"])
async def test_what_is_no_connection_is_refused_by_name(world: World, wrong: object) -> None:
    with pytest.raises(InvalidType, match="connection"):
        async with world.join(wrong):  # type: ignore[arg-type]
            pytest.fail("the block must not be entered")


async def test_an_error_of_the_block_goes_through_unchanged(engine: AsyncEngine, world: World, story: Story) -> None:
    async with engine.connect() as connection:
        with pytest.raises(GaveUp):
            async with world.join(connection):
                raise GaveUp
        with pytest.raises(LivingWorldError):
            async with world.join(connection) as tx:
                await tx.stories.append_scene(story.id, NewScene("x"), expected_head=4)
        await connection.rollback()


async def test_two_blocks_of_one_transaction_have_one_order_of_locks(
    database_url: str, engine: AsyncEngine, world: World, story: Story
) -> None:
    async with engine.connect() as connection, holding(database_url, THE_STORY, [world.id, story.id]):
        async with world.join(connection) as tx:
            await tx.characters.get_or_create("Mara")
        async with world.join(connection) as tx:
            with pytest.raises(LockOrderViolation):  # and no wait for the lock timeout
                await tx.stories.append_scene(story.id, NewScene("too late"))
        await connection.rollback()
        async with world.join(connection) as tx:
            assert not tx._transaction.lock_order.held(LockKind.CHARACTER), "another transaction"
