"""Recall that leaves out what is not wanted, and goes by words and vectors together."""

from __future__ import annotations

from typing import Any

import pytest

from livingworld import NewMemory, RecallWeights, Recollection, Story, World
from livingworld.errors import InvalidInput

ONLY_SIMILARITY = RecallWeights(1, 0, 0, words=0)


def texts(found: Recollection) -> list[str]:
    return [each.memory.content for each in found]


async def remember(world: World, story: Story) -> None:
    """Let Mara, Tom and the story remember something near and something far."""
    (mara, _), (tom, _) = await world.characters.get_or_create_many(["Mara", "Tom"])
    vectors = {"near": (1.0, 0.1), "far": (0.1, 1.0)}
    new = [
        NewMemory(f"{place} of {who}", of, kind=place, vector=vector, embedder="small")
        for place, vector in vectors.items()
        for who, of in (("Mara", mara.id), ("Tom", tom.id), ("all", None))
    ]
    await world.memories.add(story.id, new)
    await world.memories.use_embedder("small", 2)


async def test_only_her_own_come_back(world: World, story: Story) -> None:
    await remember(world, story)
    found = await world.memories.recall(story.id, [1, 0], character="Mara", only_own=True)
    assert texts(found) == ["near of Mara", "far of Mara"]
    newest = await world.memories.recent(story.id, character="Mara", only_own=True)
    assert {memory.content for memory in newest} == set(texts(found))
    assert len(await world.memories.recall(story.id, [1, 0], character="Mara")) == 6


async def test_excluded_kinds_do_not_come_back(world: World, story: Story) -> None:
    await remember(world, story)
    found = await world.memories.recall(story.id, [1, 0], excluded_kinds=["near", "never"])
    assert {each.memory.kind for each in found} == {"far"}
    assert {each.kind for each in await world.memories.recent(story.id, excluded_kinds=["far"])} == {"near"}
    assert await world.memories.recall(story.id, [1, 0], kinds=["near"], excluded_kinds=["near"]) == ()


async def test_what_is_less_similar_does_not_come_back(world: World, story: Story) -> None:
    await remember(world, story)
    found = await world.memories.recall(story.id, [1, 0], min_similarity=0.9)
    assert {each.memory.kind for each in found} == {"near"}
    assert len(found) == 3
    assert await world.memories.recall(story.id, "nothing of that", min_similarity=0.99) == ()


async def test_words_count_beside_the_vectors(world: World, story: Story) -> None:
    """Equal vectors: the words decide; a weight of 0 leaves them out."""
    same: dict[str, Any] = {"vector": (1.0, 0.0), "embedder": "small"}
    await world.memories.add(story.id, [NewMemory(text, **same) for text in ("the lantern", "the fog", "the gate")])
    await world.memories.use_embedder("small", 2)

    both = [await world.memories.recall(story.id, [1, 0], text=word) for word in ("lantern", "fog", "gate")]
    assert [each[0].memory.content for each in both] == ["the lantern", "the fog", "the gate"]
    assert [each[0].similarity for each in both] == pytest.approx([1] * 3)
    without = await world.memories.recall(story.id, [1, 0], text="fog", weights=ONLY_SIMILARITY)
    assert {each.score for each in without} == {without[0].score}


async def test_a_great_similarity_comes_before_words(world: World, story: Story) -> None:
    await world.memories.add(
        story.id,
        [
            NewMemory("a light on the water", vector=(1.0, 0.0), embedder="small"),
            NewMemory("a lantern is sold", vector=(0.0, 1.0), embedder="small"),
        ],
    )
    await world.memories.use_embedder("small", 2)
    found = await world.memories.recall(story.id, [1, 0], text="lantern")
    assert texts(found) == ["a light on the water", "a lantern is sold"]


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("only_own", {"only_own": True}),
        ("only_own", {"only_own": 1, "character": "Mara"}),
        ("excluded_kinds", {"excluded_kinds": "event"}),
        ("min_similarity", {"min_similarity": 2}),
        ("min_similarity", {"min_similarity": float("nan")}),
        ("words", {"weights": None}),
    ],
)
async def test_what_narrows_nothing_is_refused_by_name(
    world: World, story: Story, field: str, options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        if "weights" in options:
            RecallWeights(words=-1)
        await world.memories.recall(story.id, "x", **options)
    assert refused.value.field == field
