"""A transaction in which a statement failed cannot look like a success, whoever swallowed the error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import NullPool, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from livingworld import LivingWorld, NewScene, Settings, Story, TransactionScope, World
from livingworld.errors import (
    LivingWorldError,
    LockTimeout,
    NameTaken,
    RequestKeyReused,
    StaleHead,
    StoryNotFound,
    TransactionPoisoned,
    VersionConflict,
)
from livingworld.identifiers import new_id
from livingworld.testing.staged_races import Holder, connected, holding
from tests.support.staging import THE_STORY, stop

Refused = Callable[[TransactionScope, Story], Awaitable[object]]
REFUSALS: dict[type[LivingWorldError], Refused] = {
    StaleHead: lambda tx, story: tx.stories.append_scene(story.id, NewScene("x"), expected_head=7),
    VersionConflict: lambda tx, story: tx.stories.update(story.id, expected_version=9, title="t"),
    StoryNotFound: lambda tx, _: tx.stories.append_scene(new_id(), NewScene("x")),
    RequestKeyReused: lambda tx, story: tx.stories.append_scene(story.id, NewScene("other"), request_key="k"),
}


@pytest.fixture
async def hasty_world(database_url: str, world: World) -> AsyncIterator[World]:
    """Give the world with a short wait for locks."""
    settings = Settings.load(database_url=database_url, lock_timeout=timedelta(milliseconds=50))
    async with LivingWorld.open(settings) as livingworld:
        yield await livingworld.worlds.get(world.id)


async def titles(world: World) -> set[str]:
    return {story.title for story in (await world.stories.list()).items}


async def test_a_failed_statement_that_was_swallowed_is_told_when_the_block_ends(
    database_url: str, hasty_world: World, story: Story
) -> None:
    async def swallow() -> None:
        async with hasty_world.transaction() as tx:
            await tx.stories.create("Never stored")
            with suppress(LockTimeout):
                await tx.stories.update(story.id, expected_version=1, title="t")

    async with holding(database_url, THE_STORY, [hasty_world.id, story.id]):
        with pytest.raises(TransactionPoisoned):
            await swallow()

    assert await titles(hasty_world) == {"The Causeway"}


async def test_a_swallowed_failure_is_told_where_the_end_of_the_block_has_nothing_to_store(
    database_url: str, hasty_world: World, story: Story
) -> None:
    async with holding(database_url, THE_STORY, [hasty_world.id, story.id]):
        with pytest.raises(TransactionPoisoned):
            async with hasty_world.transaction() as tx:
                with suppress(LockTimeout):
                    await tx.stories.update(story.id, expected_version=1, title="t")


async def test_what_is_tried_after_the_failure_is_refused_by_name(
    database_url: str, hasty_world: World, story: Story
) -> None:
    async def swallow_and_go_on() -> None:
        async with hasty_world.transaction() as tx:
            with suppress(LockTimeout):
                await tx.stories.lock(story.id)
            await tx.stories.create("Never stored")

    async with holding(database_url, THE_STORY, [hasty_world.id, story.id]):
        with pytest.raises(TransactionPoisoned):
            await swallow_and_go_on()

    assert await titles(hasty_world) == {"The Causeway"}


async def test_work_that_swallows_is_not_a_success_either(database_url: str, hasty_world: World, story: Story) -> None:
    async def work(tx: TransactionScope) -> str:
        await tx.stories.create("Never stored")
        with suppress(LockTimeout):
            await tx.stories.lock(story.id)
        return "done"

    async with holding(database_url, THE_STORY, [hasty_world.id, story.id]):
        with pytest.raises(TransactionPoisoned):
            await hasty_world.run(work, request_key="k")

    assert await titles(hasty_world) == {"The Causeway"}
    async with connected(database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM livingworld.request_keys") == 0


async def test_a_statement_cut_off_by_the_callers_clock_is_told_too(
    database_url: str, world: World, story: Story
) -> None:
    async def cut_off(holder: Holder) -> None:
        async with world.transaction() as tx:
            await tx.stories.create("Never stored")
            locking = asyncio.create_task(tx.stories.lock(story.id))
            await holder.until_blocked()
            await stop([locking])

    async with holding(database_url, THE_STORY, [world.id, story.id]) as holder:
        with pytest.raises(LivingWorldError):
            await cut_off(holder)

    assert await titles(world) == {"The Causeway"}
    assert (await world.stories.create("The pool is as good as before")).version == 1


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: error.__name__)
async def test_a_refusal_may_be_swallowed_and_the_rest_is_stored(
    world: World, story: Story, error: type[LivingWorldError]
) -> None:
    await world.stories.append_scene(story.id, NewScene("first"), request_key="k")
    async with world.transaction() as tx:
        await tx.stories.append_scene(story.id, NewScene("second"))
        with pytest.raises(error):
            await REFUSALS[error](tx, story)
        await tx.stories.append_scene(story.id, NewScene("third"))
        await tx.characters.get_or_create("Mara")

    assert [scene.content for scene in await world.stories.recent(story.id, 9)] == ["first", "second", "third"]
    assert await world.characters.find("Mara")


async def test_a_taken_name_may_be_swallowed_and_the_rest_is_stored(world: World) -> None:
    (mara, _), (tom, _) = await world.characters.get_or_create_many(["Mara", "Tom"])
    async with world.transaction() as tx:
        with pytest.raises(NameTaken):
            await tx.characters.add_alias(tom.id, "MARA")
        with pytest.raises(NameTaken):
            await tx.characters.update(tom.id, expected_version=1, name="mara")
        await tx.characters.add_alias(mara.id, "The Keeper")

    assert await world.characters.find("the keeper") == await world.characters.find("mara")
    assert (await world.characters.get(tom.id)).version == 1


async def test_a_refused_change_takes_no_name_along_when_the_refusal_is_swallowed(world: World) -> None:
    mara, _ = await world.characters.get_or_create("Mara")
    async with world.transaction() as tx:
        with pytest.raises(VersionConflict):
            await tx.characters.update(mara.id, expected_version=9, name="The Keeper")

    assert await world.characters.find("The Keeper") is None
    assert await world.characters.get(mara.id) == mara


async def test_a_refused_scene_takes_no_character_along_when_the_refusal_is_swallowed(
    world: World, story: Story
) -> None:
    async with world.transaction() as tx:
        with pytest.raises(StaleHead):
            await tx.stories.append_scene(story.id, NewScene("x", cast=["Mara"]), expected_head=7)
        await tx.stories.append_scene(story.id, NewScene("first", cast=["Tom"]))

    assert [character.name for character in (await world.characters.list()).items] == ["Tom"]


async def test_an_error_swallowed_in_a_plain_transaction_is_a_silent_loss(database_url: str, world: World) -> None:
    insert = text("INSERT INTO livingworld.worlds (world_id, name) VALUES (:id, :name)")
    engine = create_async_engine(database_url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(insert, {"id": new_id(), "name": "lost without a word"})
        with suppress(IntegrityError):
            await connection.execute(insert, {"id": world.id, "name": "a duplicate"})
    await engine.dispose()

    async with connected(database_url) as observer:
        assert await observer.fetchval("SELECT count(*) FROM livingworld.worlds WHERE name <> 'Saltmarsh'") == 0
