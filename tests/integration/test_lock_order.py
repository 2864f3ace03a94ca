"""Locks are taken in one order, kinds by number and within a kind by key; what would wait otherwise is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import text

from livingworld import NewScene, Story, World
from livingworld.errors import LockOrderViolation
from livingworld.postgres.locks import lock_key, lock_names, lock_row
from livingworld.postgres.transactions.database import Database
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.tables import stories
from livingworld.testing.staged_races import connected, holding
from tests.integration.databases import opened
from tests.support.staging import THE_STORY


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as database:
        yield database


@pytest.fixture
async def pair(world: World) -> tuple[Story, Story]:
    """Give two stories in the order in which they may be locked."""
    return await world.stories.create("First"), await world.stories.create("Second")


async def lock(tx: Transaction, world: World, story: Story) -> None:
    key = {"world_id": world.id, "story_id": story.id}
    assert await lock_row(tx, LockKind.STORY, stories, key)


@pytest.mark.parametrize("known", [False, True], ids=["new name", "known name"])
async def test_a_character_and_then_an_append_is_an_order_like_any_other(
    world: World, story: Story, *, known: bool
) -> None:
    if known:
        await world.characters.get_or_create("Mara")
    async with world.transaction() as tx:
        mara, _ = await tx.characters.get_or_create("Mara")
        await tx.characters.add_alias(mara.id, "The Keeper")
        await tx.stories.append_scene(story.id, NewScene("One.", cast=["Mara"]))
        await tx.stories.append_scene(story.id, NewScene("Two.", cast=["Mara", "Somebody new"]))
        await tx.stories.update(story.id, expected_version=1, title="Renamed")

    assert (await world.stories.get(story.id)).scene_count == 2
    assert await world.characters.find("Somebody new")


async def test_only_where_the_story_is_held_the_append_is_refused_and_says_what_to_call_first(
    database_url: str, world: World, story: Story
) -> None:
    first = r"this transaction holds a character .* Call tx\.stories\.lock\(story_id\)"
    async with (
        holding(database_url, THE_STORY, [world.id, story.id]),
        world.transaction() as tx,
    ):
        await tx.characters.get_or_create("Mara")
        for cast in ([], ["Mara"], ["Somebody new"]):
            with pytest.raises(LockOrderViolation, match=first):
                await tx.stories.append_scene(story.id, NewScene("too late", cast=cast))
        with pytest.raises(LockOrderViolation) as refused:
            await tx.stories.update(story.id, expected_version=1, title="too late")

    assert (refused.value.asked_for, refused.value.held) == ("a story", "a character or a name")
    assert await world.characters.find("Mara"), "the rest is stored when the refusal is swallowed"
    assert await world.characters.find("Somebody new") is None


async def test_a_story_locked_first_may_be_written_after_the_characters(world: World, story: Story) -> None:
    async with world.transaction() as tx:
        await tx.stories.lock(story.id)
        await tx.characters.get_or_create("Mara")
        await tx.stories.append_scene(story.id, NewScene("in time", cast=["Mara", "Tom"]))

    assert (await world.stories.get(story.id)).scene_count == 1


async def test_what_is_held_may_be_asked_for_again(database: Database, world: World, pair: tuple[Story, Story]) -> None:
    async with database.transaction(world.id) as tx:
        for story in (*pair, *pair, *reversed(pair)):
            await lock(tx, world, story)
        for names in (["a", "b"], ["b"], ["b", "a"]):
            await lock_names(tx, LockKind.CHARACTER, world.id, names)


async def test_a_free_row_out_of_order_is_taken(
    database_url: str, database: Database, world: World, pair: tuple[Story, Story]
) -> None:
    async with database.transaction(world.id) as tx, connected(database_url) as other:
        await lock(tx, world, pair[1])
        await lock(tx, world, pair[0])

        with pytest.raises(asyncpg.LockNotAvailableError):
            await other.execute(f"{THE_STORY} NOWAIT", world.id, pair[0].id)


async def test_only_the_wait_out_of_order_is_refused_and_at_once(
    database_url: str, database: Database, world: World, pair: tuple[Story, Story]
) -> None:
    async def lock_backwards() -> None:
        async with database.transaction(world.id) as tx:
            await lock(tx, world, pair[1])
            await lock(tx, world, pair[0])

    async with holding(database_url, THE_STORY, [world.id, pair[0].id]):
        with pytest.raises(LockOrderViolation):
            await lock_backwards()


async def test_a_held_name_out_of_order_is_refused_and_the_transaction_goes_on(
    database_url: str, database: Database, world: World
) -> None:
    early, late = sorted(["mara", "tom"], key=lambda name: lock_key(LockKind.CHARACTER, world.id, name))
    key = lock_key(LockKind.CHARACTER, world.id, early)
    async with holding(database_url, "SELECT pg_advisory_xact_lock($1)", [key]), database.transaction(world.id) as tx:
        await lock_names(tx, LockKind.CHARACTER, world.id, [late])
        with pytest.raises(LockOrderViolation):
            await lock_names(tx, LockKind.CHARACTER, world.id, [early])

        assert await tx.scalar(text("SELECT 1")) == 1
