"""The words of scenes are indexed beside writers, purges and other indexers: no writer waits, no words are mixed up.

An indexer is held at the row that it is about to write: another session has inserted one with the same key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from livingworld import LivingWorld, NewScene, Settings, Story, World
from livingworld.testing.staged_races import connected, holding
from tests.support.patience import patiently
from tests.support.staging import deadlocks, done_or_behind
from tests.support.turn_checks import rows

IN_ITS_PLACE: Final = """
    INSERT INTO livingworld.scene_words (world_id, story_id, scene_number, version, words) VALUES ($1, $2, 1, 0, '')
"""
INDEX: Final = "SELECT texts FROM livingworld.index_scenes_v1($1, 100)"
LEFT: Final = """
    SELECT scene_number FROM livingworld.scene_words UNION ALL SELECT scene_number FROM livingworld.unindexed_scenes
"""


@pytest_asyncio.fixture
async def still(database_url: str) -> AsyncIterator[tuple[LivingWorld, World, Story]]:
    """Give a story of two scenes in a process that indexes nothing by itself."""
    async with LivingWorld.open(Settings.load(database_url=database_url, index_words=False)) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        async with world.turns.take(story.id, request_key="first") as turn:
            await turn.commit(NewScene("The lamp."))
        yield livingworld, world, story


async def found(world: World, words: str) -> list[int | None]:
    return [hit.scene_number for hit in (await world.search.find(words)).items]


@pytest.mark.parametrize("how", ["edited", "regenerated"])
async def test_a_text_that_changes_while_its_old_words_are_indexed_is_found_by_its_new_ones(
    database_url: str, still: tuple[LivingWorld, World, Story], how: str
) -> None:
    _, world, story = still
    async with holding(database_url, IN_ITS_PLACE, [world.id, story.id]) as holder, patiently():
        indexing = asyncio.create_task(world.search.index())
        await holder.until_blocked()
        if how == "edited":
            await world.stories.edit_scene(story.id, 1, expected_version=1, content="The tide.")
        else:
            async with world.turns.regenerate(story.id, request_key="again") as turn:
                await turn.commit(NewScene("The tide."))
        assert not indexing.done(), "the writer did not wait for it"
    await indexing

    for _ in range(2):
        assert (await found(world, "lamp"), await found(world, "tide")) == ([], [1])
        await world.search.index()


async def test_an_indexer_waits_for_no_other_one_that_has_a_newer_text(
    database_url: str, still: tuple[LivingWorld, World, Story]
) -> None:
    _, world, story = still
    newer = "INSERT INTO livingworld.unindexed_scenes (world_id, story_id, scene_number, version) VALUES ($1, $2, 1, 2)"
    async with connected(database_url) as indexer:
        await indexer.execute(newer, world.id, story.id)
        await indexer.execute("SET lock_timeout = '10ms'")  # what waits fails
        async with holding(database_url, "SELECT FROM livingworld.unindexed_scenes WHERE version = 2 FOR UPDATE", []):
            assert await indexer.fetchval(INDEX, world.id) == 1


async def test_old_words_never_take_the_place_of_newer_ones(
    database_url: str, still: tuple[LivingWorld, World, Story]
) -> None:
    _, world, story = still
    async with holding(database_url, IN_ITS_PLACE, [world.id, story.id], commit=True) as other:
        indexing = asyncio.create_task(world.search.index())  # has read the text, and waits for the other's row
        await other.until_blocked()
        await world.stories.edit_scene(story.id, 1, expected_version=1, content="The tide.")
        assert await other.connection.fetchval(INDEX, world.id) == 1
    await indexing

    assert (await world.search.backlog()).texts == 0
    assert (await found(world, "lamp"), await found(world, "tide")) == ([], [1])


async def test_two_indexers_share_the_work_and_writers_go_on(
    database_url: str, still: tuple[LivingWorld, World, Story]
) -> None:
    _, world, story = still
    async with holding(database_url, IN_ITS_PLACE, [world.id, story.id]) as holder, patiently():
        first = asyncio.create_task(world.search.index())
        await holder.until_blocked()
        for number in range(2, 5):
            await world.stories.append_scene(story.id, NewScene(f"The lamp, {number}."))
        assert await world.search.index() == 3
        assert sorted(map(int, filter(None, await found(world, "lamp")))) == [1, 2, 3, 4]
    assert await first == 1

    assert sorted(map(int, filter(None, await found(world, "lamp")))) == [1, 2, 3, 4]


@pytest.mark.parametrize("what", ["story", "world"])
async def test_a_purge_takes_along_the_words_that_are_being_written(
    database_url: str, still: tuple[LivingWorld, World, Story], what: str
) -> None:
    livingworld, world, story = still
    await world.stories.append_scene(story.id, NewScene("The tide."))
    await world.search.index()
    for number, version in ((1, 1), (2, 1)):
        await world.stories.edit_scene(story.id, number, expected_version=version, content="A boat.")
    await world.stories.append_scene(story.id, NewScene("The pier."))
    key_of_the_new_one = IN_ITS_PLACE.replace("$2, 1, 0", "$2, 3, 0")
    purge = world.stories.purge(story.id) if what == "story" else livingworld.worlds.purge(world.id)
    async with holding(database_url, key_of_the_new_one, [world.id, story.id]) as holder, patiently():
        indexing = asyncio.create_task(world.search.index())
        (indexer,) = await holder.until_blocked()
        purging = asyncio.create_task(purge)
        await done_or_behind(purging, database_url, indexer)
    await asyncio.gather(indexing, purging)

    assert await rows(database_url, LEFT) == []
    assert await deadlocks(database_url) == 0


async def test_an_indexer_passes_what_is_being_purged(
    database_url: str, still: tuple[LivingWorld, World, Story]
) -> None:
    _, world, story = still
    its_row = "SELECT FROM livingworld.stories WHERE world_id = $1 AND story_id = $2 FOR KEY SHARE"
    async with holding(database_url, its_row, [world.id, story.id]) as holder, patiently():
        purging = asyncio.create_task(world.stories.purge(story.id))  # has removed all but the story itself
        await holder.until_blocked()
        assert await world.search.index() == 0
    await purging

    assert await rows(database_url, LEFT) == []
