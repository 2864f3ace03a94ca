"""The text of a memory can be changed: it is found by the new words, and no vector is one of the text before."""

from __future__ import annotations

import asyncio

import pytest

from livingworld import NewMemory, NewScene, Story, World
from livingworld.errors import InvalidInput, VersionConflict
from livingworld.testing.hashing_embedder import HashingEmbedder
from tests.support.embedders import StagedEmbedder
from tests.support.patience import patiently
from tests.support.turn_checks import rows

BEFORE, AFTER = "It rained over the causeway", "Nobody lit the lamp"
#: As if others had claimed the job since, and the number of the last claim were that of who has read the text before.
THE_SAME_CLAIM = "UPDATE livingworld.memory_embedding_jobs SET attempts = 1 RETURNING 1"
VECTORS = "SELECT embedder FROM livingworld.memory_vectors ORDER BY embedder"


async def test_a_text_that_is_changed_is_found_by_its_new_words(world: World, story: Story) -> None:
    ((memory, _),) = await world.memories.add(story.id, [NewMemory(BEFORE)])
    changed = await world.memories.update(memory.id, expected_version=1, content=AFTER)

    assert (changed.content, changed.version, changed.id) == (AFTER, 2, memory.id)
    assert await world.memories.get(memory.id) == changed
    assert [each.similarity > 0 for each in await world.memories.recall(story.id, "lamp")] == [True]
    assert [each.similarity > 0 for each in await world.memories.recall(story.id, "causeway")] == [False]
    assert (await world.memories.add(story.id, [NewMemory(AFTER)]))[0] == (changed, False)
    assert (await world.memories.add(story.id, [NewMemory(BEFORE)]))[0][1], "it is remembered no more"
    with pytest.raises(VersionConflict):
        await world.memories.update(memory.id, expected_version=1, content="Hail.")


async def test_a_text_that_is_changed_gets_another_vector(database_url: str, world: World, story: Story) -> None:
    ours = world.memory_embeddings(HashingEmbedder(8))
    await ours.use()
    given = NewMemory(BEFORE, vector=(1.0, 0.0), embedder="of the application")
    ((memory, _),) = await world.memories.add(story.id, [given])
    assert await ours.run_all() == 1
    await world.memories.update(memory.id, expected_version=1, importance=1.0)
    assert len(await rows(database_url, VECTORS)) == 2
    await world.memories.update(memory.id, expected_version=2, content=BEFORE)
    assert len(await rows(database_url, VECTORS)) == 2, "it is the same text"

    await world.memories.update(memory.id, expected_version=3, content=AFTER)
    assert await rows(database_url, VECTORS) == []
    assert await ours.run_all() == 1
    assert (await ours.recall(story.id, AFTER))[0].similarity == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("meanwhile", ["", THE_SAME_CLAIM])
async def test_a_text_that_changed_while_it_was_embedded_leaves_no_vector(
    database_url: str, world: World, story: Story, meanwhile: str
) -> None:
    embedder = StagedEmbedder()
    ours = world.memory_embeddings(embedder)
    await ours.use()
    ((memory, _),) = await world.memories.add(story.id, [NewMemory(BEFORE)])
    embedder.go.clear()
    round_ = asyncio.create_task(ours.run_once())
    async with patiently():
        await embedder.begun.get()
    await world.memories.update(memory.id, expected_version=1, content=AFTER)
    if meanwhile:
        await rows(database_url, meanwhile)
    embedder.go.set()
    async with patiently():
        assert await round_ == 0

    assert await rows(database_url, VECTORS) == []
    assert await ours.run_all() == 1
    assert (await ours.recall(story.id, AFTER))[0].similarity == pytest.approx(1, abs=1e-5)


async def test_an_embedder_passes_by_a_memory_that_is_being_changed(
    database_url: str, world: World, story: Story
) -> None:
    embedder = StagedEmbedder()
    ours = world.memory_embeddings(embedder)
    await ours.use()
    ((memory, _),) = await world.memories.add(story.id, [NewMemory(BEFORE)])
    embedder.go.clear()
    round_ = asyncio.create_task(ours.run_once())
    async with patiently():
        await embedder.begun.get()
        async with world.transaction() as tx:
            await tx.memories.update(memory.id, expected_version=1, content=AFTER)
            embedder.go.set()
            assert await round_ == 0
    assert await rows(database_url, VECTORS) == []
    assert await ours.run_all() == 1


async def test_a_text_that_is_remembered_at_the_same_place_is_refused_by_name(world: World, story: Story) -> None:
    mara, _ = await world.characters.get_or_create("Mara")
    texts = [NewMemory(BEFORE), NewMemory(AFTER), NewMemory(BEFORE, mara.id)]
    (one, _), (other, _), (hers, _) = await world.memories.add(story.id, texts)
    for text in (AFTER, ""):
        with pytest.raises(InvalidInput) as refused:
            await world.memories.update(one.id, expected_version=1, content=text)
        assert refused.value.field == "content"

    assert (await world.memories.get(one.id)).version == 1
    assert (await world.memories.update(hers.id, expected_version=1, content=AFTER)).content == AFTER
    await world.memories.update(other.id, expected_version=1, content="Hail.")
    await world.stories.append_scene(story.id, NewScene("Fog."))
    ((later, _),) = await world.memories.add(story.id, [NewMemory("Later.")])
    assert (await world.memories.update(later.id, expected_version=1, content=BEFORE)).content == BEFORE
