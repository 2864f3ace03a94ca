"""Every wait for a lock is bounded, and a lock keeps out no more than it has to."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy import text

from livingworld import Story, World
from livingworld.errors import LockTimeout
from livingworld.postgres.locks import lock_key, lock_names, lock_row
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.tables import stories
from livingworld.testing.staged_races import connected, holding
from tests.integration.databases import opened
from tests.support.patience import NEVER, patiently
from tests.support.staging import THE_STORY

SOON = timedelta(milliseconds=50)
#: A limit that is not under test is far away.
LATE = {"lock_timeout": NEVER, "statement_timeout": 2 * NEVER, "command_timeout": 3 * NEVER}
#: The call's own limit, the engine's, and what the transaction sets where a pooler lets the session have none.
LIMITS = pytest.mark.parametrize(
    ("timeout", "settings"),
    [(SOON, LATE), (None, {"lock_timeout": SOON}), (None, {"lock_timeout": SOON, "behind_pooler": True})],
    ids=["the call's", "the engine's", "the transaction's"],
)
CHILD = """
    INSERT INTO livingworld.branches (world_id, story_id, branch_number, name) VALUES ($1, $2, 2, 'a child')
"""


async def lock(tx: Transaction, world: World, story: Story, timeout: timedelta | None = None) -> None:
    key = {"world_id": world.id, "story_id": story.id}
    assert await lock_row(tx, LockKind.STORY, stories, key, timeout=timeout)


@LIMITS
async def test_the_wait_for_a_row_is_bounded(
    database_url: str, world: World, story: Story, timeout: timedelta | None, settings: dict[str, object]
) -> None:
    async with holding(database_url, THE_STORY, [world.id, story.id]), opened(database_url, **settings) as database:
        with pytest.raises(LockTimeout):
            async with database.transaction(world.id) as tx, patiently():
                await lock(tx, world, story, timeout)


@LIMITS
async def test_the_wait_for_a_name_is_bounded(
    database_url: str, world: World, timeout: timedelta | None, settings: dict[str, object]
) -> None:
    key = lock_key(LockKind.CHARACTER, world.id, "mara")
    async with (
        holding(database_url, "SELECT pg_advisory_xact_lock($1)", [key]),
        opened(database_url, **settings) as database,
    ):
        with pytest.raises(LockTimeout):
            async with database.transaction(world.id) as tx, patiently():
                await lock_names(tx, LockKind.CHARACTER, world.id, ["mara"], timeout=timeout)


async def test_a_limit_of_one_call_ends_with_the_call(database_url: str, world: World, story: Story) -> None:
    limits = []
    async with opened(database_url) as database, database.transaction(world.id) as tx:
        limits.append(await tx.scalar(text("SHOW lock_timeout")))
        await lock(tx, world, story, SOON)
        limits.append(await tx.scalar(text("SHOW lock_timeout")))
        await lock_names(tx, LockKind.CHARACTER, world.id, ["mara"], timeout=SOON)
        limits.append(await tx.scalar(text("SHOW lock_timeout")))

    assert limits == ["5s"] * 3


async def test_a_row_that_is_not_there_is_none_and_locks_nothing(database_url: str, world: World, story: Story) -> None:
    key = {"world_id": story.id, "story_id": story.id}
    async with opened(database_url) as database, database.transaction(world.id) as tx:
        assert await lock_row(tx, LockKind.STORY, stories, key) is None


async def test_a_locked_story_lets_children_be_inserted_and_keeps_writers_out(
    database_url: str, world: World, story: Story
) -> None:
    async with world.transaction() as tx, connected(database_url) as other:
        await tx.stories.lock(story.id)
        await other.execute("SET lock_timeout = '50ms'")

        assert await other.execute(CHILD, world.id, story.id) == "INSERT 0 1"
        with pytest.raises(asyncpg.LockNotAvailableError):
            await other.execute("UPDATE livingworld.stories SET title = 't' WHERE story_id = $1", story.id)


async def test_plain_for_update_keeps_children_out_too(database_url: str, world: World, story: Story) -> None:
    async with holding(database_url, THE_STORY, [world.id, story.id]), connected(database_url) as other:
        await other.execute("SET lock_timeout = '50ms'")

        with pytest.raises(asyncpg.LockNotAvailableError):
            await other.execute(CHILD, world.id, story.id)
