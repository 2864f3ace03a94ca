"""A story goes out of its world into a bundle, and comes back with everything that a purge of it removed."""

from __future__ import annotations

from io import BytesIO

import pytest

from livingworld import LivingWorld, NewScene, World, verify_bundle
from livingworld.bundles.contents import VECTORS
from livingworld.bundles.story_contents import EXCUSED
from livingworld.errors import Archived, CharacterNotFound, InvalidInput, StoryExists, StoryNotFound, WorldNotFound
from livingworld.identifiers import new_id
from livingworld.testing.hashing_embedder import HashingEmbedder
from tests.integration.bundles.full_world import FullWorld, all_rows, bundle_of, opened

#: Beside the story's rows: jobs are made again, and whoever follows the world hears of both.
LEFT_OUT = VECTORS | EXCUSED.keys()


async def a_copy(livingworld: LivingWorld, full: FullWorld) -> World:
    return await livingworld.worlds.import_bundle(BytesIO(full.bundle), as_world=new_id())


async def test_a_story_comes_back_with_all_that_a_purge_removed(full: FullWorld) -> None:
    async with opened(full.url) as livingworld:
        world = await a_copy(livingworld, full)
        (story,) = (await world.stories.list()).items
        await world.stories.archive(story.id)
        before = await all_rows(full.url, world.id)
        file = BytesIO()
        bundle = await world.export_story(story.id, file)
        await world.stories.purge(story.id)
        purged = await all_rows(full.url, world.id)

        file.seek(0)
        assert verify_bundle(file) == bundle
        file.seek(0)
        restored = await world.import_story(file)
        after = await all_rows(full.url, world.id)
        with pytest.raises(Archived):
            await world.stories.append_scene(story.id, NewScene("On."))
        await world.stories.restore(story.id)
        await world.stories.append_scene(story.id, NewScene("On."))

    assert restored.id == story.id
    removed = {table for table, rows in before.items() if len(purged[table]) < len(rows)}
    assert removed - LEFT_OUT <= bundle.counts.keys()
    assert {"scenes", "turns", "facts", "memories", "relationship_changes", "revisions", "story_activity"} <= removed
    assert {table: rows for table, rows in after.items() if table not in LEFT_OUT} == {
        table: rows for table, rows in before.items() if table not in LEFT_OUT
    }


async def test_the_memories_of_a_story_that_came_back_are_embedded_again(full: FullWorld) -> None:
    async with opened(full.url) as livingworld:
        world = await a_copy(livingworld, full)
        (story,) = (await world.stories.list()).items
        file = BytesIO()
        await world.export_story(story.id, file)
        await world.stories.purge(story.id)
        file.seek(0)
        await world.import_story(file)
        rows = await all_rows(full.url, world.id)
        assert len(rows["memory_embedding_jobs"]) == len(rows["memories"])
        embeddings = world.memory_embeddings(HashingEmbedder())
        await embeddings.run_all()
        found = await embeddings.recall(story.id, "Of tides and other things.", k=1)

    assert [each.memory.content for each in found] == ["Of tides and other things."]


async def test_a_story_goes_into_a_copy_of_its_world_only_once_and_nowhere_without_its_characters(
    full: FullWorld, livingworld: LivingWorld
) -> None:
    async with opened(full.url) as there:
        world = await a_copy(there, full)
        (story,) = (await world.stories.list()).items
        file = BytesIO()
        await world.export_story(story.id, file)
        for _ in range(2):
            file.seek(0)
            with pytest.raises(StoryExists):
                await world.import_story(file)
    empty = await livingworld.worlds.create("Without Mara")
    file.seek(0)
    with pytest.raises(CharacterNotFound):
        await empty.import_story(file)
    assert (await empty.stories.list()).items == ()
    await livingworld.worlds.purge(empty.id)
    file.seek(0)
    with pytest.raises(WorldNotFound):
        await empty.import_story(file)


async def test_the_two_kinds_of_bundles_are_not_mistaken(livingworld: LivingWorld) -> None:
    world = await livingworld.worlds.create("Saltmarsh")
    story = await world.stories.create("The Causeway")
    file = BytesIO()
    await world.export_story(story.id, file)
    file.seek(0)

    with pytest.raises(InvalidInput, match="file: is the bundle of a story"):
        await livingworld.worlds.import_bundle(file)
    with pytest.raises(InvalidInput, match="file: is the bundle of a world"):
        await world.import_story(BytesIO(await bundle_of(livingworld, world.id)))
    with pytest.raises(StoryNotFound):
        await world.export_story(new_id(), BytesIO())
