"""Scenes and characters get vectors in the background, and are found by meaning."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from livingworld import NewScene, SimilarText, Story, World
from livingworld.errors import DimensionMismatch, InvalidInput, InvalidType, OutOfMemory
from livingworld.testing.hashing_embedder import HashingEmbedder
from livingworld.testing.staged_races import holding
from tests.support.embedders import StagedEmbedder
from tests.support.patience import patiently, until
from tests.support.staging import same_world
from tests.support.turn_checks import rows

TEXTS = (
    "The tide came in over the causeway.",
    "A boat lay upside down in the reeds.",
    "Nobody lit the lamp that night.",
)


class Refusing(HashingEmbedder):
    """An embedder that refuses what holds a word, and tells what it was asked."""

    def __init__(self, refused: str = "\0", *, name: str = "refusing", dimensions: int = 64) -> None:
        super().__init__(dimensions)
        self.name = name
        self.refused = refused
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        self.asked += texts
        if any(self.refused in text for text in texts):
            raise OutOfMemory
        return await super().embed(texts)


async def written(world: World, story: Story, *texts: str) -> None:
    for text in texts:
        await world.stories.append_scene(story.id, NewScene(text))
    await world.search.index()


def keys(found: Sequence[SimilarText]) -> list[object]:
    return [text.scene_number or text.title for text in found]


async def test_scenes_and_characters_are_found_by_a_text(world: World, story: Story) -> None:
    await written(world, story, *TEXTS)
    await world.characters.get_or_create("Mara", card={"trade": "keeper of the lamp"})
    texts = world.text_embeddings(HashingEmbedder())

    assert list(await texts.find("lamp")) == []
    assert await texts.run_all() == 4
    assert await texts.run_once() == 0
    found = await texts.find("a boat in the reeds", k=1)
    assert [(hit.kind, hit.story_id, hit.scene_number, hit.title, hit.excerpt) for hit in found] == [
        ("scene", story.id, 2, story.title, TEXTS[1])
    ]
    people = await texts.find("keeper of the lamp", kinds=["character"])
    assert [(hit.title, hit.story_id, hit.scene_number, hit.excerpt) for hit in people] == [("Mara", None, None, "")]
    assert people[0].character_id == (await world.characters.get("Mara")).id
    assert (people.is_cut, people[0].similarity > 0.3) == (False, True)


async def test_a_text_that_changed_gets_another_vector(database_url: str, world: World, story: Story) -> None:
    await written(world, story, TEXTS[0])
    mara, _ = await world.characters.get_or_create("Mara")
    texts = world.text_embeddings(HashingEmbedder())
    await texts.run_all()
    await world.stories.edit_scene(story.id, 1, expected_version=1, content=TEXTS[1])
    await world.characters.update(mara.id, expected_version=1, name="Tom")
    await world.search.index()

    assert await texts.run_all() == 2
    (hit,) = await texts.find("boat in the reeds", kinds=["scene"])
    assert hit.similarity > 0.5
    assert await rows(database_url, "SELECT version FROM livingworld.scene_vectors") == [(2,)]
    assert (await texts.find("Tom", kinds=["character"]))[0].title == "Tom"


async def test_what_is_found_is_narrowed_by_story_number_and_similarity(world: World, story: Story) -> None:
    other = await world.stories.create("The Reeds")
    await world.stories.append_scene(other.id, NewScene("A boat.", cast=["Tom"]))
    await world.characters.get_or_create("Mara")
    await written(world, story, *TEXTS)
    texts = world.text_embeddings(HashingEmbedder())
    await texts.run_all()

    assert {hit.story_id for hit in await texts.find("boat", story_id=story.id)} == {story.id}
    assert sorted(map(str, keys(await texts.find("boat", story_id=other.id)))) == ["1", "Tom"]
    assert len(await texts.find("boat", k=2)) == 2
    assert list(await texts.find("boat", min_similarity=1)) == []
    cut = await texts.find("tide", kinds=["scene"], story_id=story.id, candidates=2)
    assert (cut.is_cut, sorted(keys(cut), key=str)) == (True, [2, 3])


async def test_a_text_that_fails_holds_no_other_one_up(
    world: World, story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    await written(world, story, *TEXTS)
    embedder = Refusing("boat")
    texts = world.text_embeddings(embedder)

    assert await texts.run_all(limit=2) == 2
    asked = len(embedder.asked)
    assert await texts.run_once() == 0
    assert len(embedder.asked) == asked
    assert "texts not embedded" in caplog.text
    assert keys(await texts.find("the lamp", k=1)) == [3]


async def test_one_process_embeds_at_a_time(database_url: str, world: World, story: Story) -> None:
    await written(world, story, *TEXTS)
    embedder = StagedEmbedder()
    embedder.go.clear()
    async with same_world(database_url, world.id, pools=2) as worlds:
        first = asyncio.create_task(worlds[0].text_embeddings(embedder).run_once())
        async with patiently():
            await embedder.begun.get()
        assert await worlds[1].text_embeddings(embedder).run_once() == 0
        embedder.go.set()
        async with patiently():
            assert await first == 3
    assert len(embedder.batches) == 1


async def test_a_scene_that_is_being_removed_gets_no_vector_and_waits_for_none(
    database_url: str, world: World, story: Story
) -> None:
    other = await world.stories.create("The Reeds")
    await written(world, other, TEXTS[1])
    await written(world, story, TEXTS[0])
    texts = world.text_embeddings(HashingEmbedder())
    remove = "DELETE FROM livingworld.scenes WHERE world_id = $1 AND story_id = $2 RETURNING story_id"
    async with holding(database_url, remove, (world.id, story.id)), patiently():
        assert await texts.run_once() == 1
    assert await texts.run_all() == 1
    await world.stories.purge(story.id)
    assert await rows(database_url, "SELECT story_id FROM livingworld.scene_vectors") == [(other.id,)]
    await world.characters.get_or_create("Mara")
    assert await texts.run_all() == 1
    assert await texts.remove() == 2
    assert list(await texts.find("boat")) == []


@pytest.mark.parametrize("change", ["edit", "erase"])
async def test_a_text_that_changed_while_it_was_embedded_leaves_no_vector(
    database_url: str, world: World, story: Story, change: str
) -> None:
    async with world.turns.take(story.id, request_key="hers", player="ada") as turn:
        await turn.commit(NewScene(TEXTS[0]))
    await world.search.index()
    embedder = StagedEmbedder()
    embedder.go.clear()
    texts = world.text_embeddings(embedder)
    round_ = asyncio.create_task(texts.run_once())
    async with patiently():
        await embedder.begun.get()
    if change == "erase":
        await world.erase(player="ada", scenes="blank")
    else:
        await world.stories.edit_scene(story.id, 1, expected_version=1, content=TEXTS[1])
    embedder.go.set()
    async with patiently():
        assert await round_ == 0
    assert await rows(database_url, "SELECT version FROM livingworld.scene_vectors") == []


async def test_a_scene_that_is_erased_loses_its_vector(database_url: str, world: World, story: Story) -> None:
    async with world.turns.take(story.id, request_key="hers", player="ada") as turn:
        await turn.commit(NewScene(TEXTS[0]))
    await world.search.index()
    await world.text_embeddings(HashingEmbedder()).run_all()
    receipt = await world.erase(player="ada", scenes="blank")
    assert receipt.rows["scene_vectors"] == 1
    assert await rows(database_url, "SELECT version FROM livingworld.scene_vectors") == []


async def test_new_texts_get_vectors_while_it_runs(world: World, story: Story) -> None:
    texts = world.text_embeddings(HashingEmbedder())
    async with texts.running(every=timedelta(milliseconds=10)):
        await written(world, story, TEXTS[0])

        async def is_found() -> bool:
            return bool(await texts.find("tide"))

        await until(is_found)


async def test_bad_input_is_refused_by_its_name(world: World, story: Story) -> None:
    await written(world, story, TEXTS[0])
    texts = world.text_embeddings(HashingEmbedder(64))
    await texts.run_all()
    short = world.text_embeddings(HashingEmbedder(8))
    short._name = texts._name
    for wrong, field in (
        ({"query": ""}, "query"),
        ({"query": "x", "kinds": ["memory"]}, "kinds"),
        ({"query": "x", "k": 0}, "k"),
        ({"query": "x", "candidates": 0}, "candidates"),
        ({"query": "x", "min_similarity": 2}, "min_similarity"),
        ({"query": "x", "story_id": "no"}, "story_id"),
    ):
        with pytest.raises(InvalidInput) as refused:
            await texts.find(**wrong)
        assert refused.value.field == field
    with pytest.raises(InvalidType):
        await texts.run_once(limit="1")  # type: ignore[arg-type]
    with pytest.raises(DimensionMismatch):
        await short.find("tide")
