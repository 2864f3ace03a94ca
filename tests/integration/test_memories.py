"""Memories: remembered once, recalled by those who may, on the paths that contain them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from livingworld import Memory, NewMemory, NewScene, RecallWeights, Story, World
from livingworld.errors import (
    AlreadyConsolidated,
    CharacterNotFound,
    DimensionMismatch,
    InvalidInput,
    MemoryNotFound,
    SceneNotFound,
)
from livingworld.identifiers import new_id

ONLY_SIMILARITY = RecallWeights(1, 0, 0)


@pytest_asyncio.fixture
async def people(world: World) -> tuple[UUID, UUID]:
    (mara, _), (tom, _) = await world.characters.get_or_create_many(["Mara", "Tom"])
    return mara.id, tom.id


async def remember(world: World, story: Story, *memories: NewMemory) -> list[Memory]:
    return [memory for memory, _ in await world.memories.add(story.id, memories)]


def texts(memories: tuple[Memory, ...]) -> list[str]:
    return [memory.content for memory in memories]


async def test_a_text_is_remembered_once_by_each_on_a_path(
    world: World, story: Story, people: tuple[UUID, UUID]
) -> None:
    mara, tom = people
    await world.stories.append_scene(story.id, NewScene("one"))
    made = await world.memories.add(
        story.id,
        [NewMemory("the lamp"), NewMemory("the lamp"), NewMemory("the lamp", mara), NewMemory("the lamp", tom)],
    )
    await world.stories.append_scene(story.id, NewScene("two"))
    again = await world.memories.add(story.id, [NewMemory("the lamp", mara)])

    assert [created for _, created in made] == [True, False, True, True]
    assert again == ((made[2][0], False),)
    assert await world.memories.get(made[2][0].id) == made[2][0]
    await world.branches.rewind(story.id, 0)
    assert [created for _, created in await world.memories.add(story.id, [NewMemory("the lamp", mara)])] == [True]


async def test_the_nearest_come_first_and_private_ones_of_others_never(
    world: World, story: Story, people: tuple[UUID, UUID]
) -> None:
    mara, tom = people
    near: dict[str, Any] = {"embedder": "e", "vector": [1.0, 0.1]}
    await remember(
        world,
        story,
        NewMemory("far", embedder="e", vector=[-1.0, 0.0]),
        NewMemory("across", embedder="e", vector=[0.0, 3.0]),
        NewMemory("near", embedder="e", vector=[2.0, 0.2]),
        NewMemory("Mara's secret", mara, private=True, **near),
        NewMemory("Tom's secret", tom, private=True, kind="dream", **near),
        NewMemory("no vector"),
    )

    async def recalled(**options: Any) -> list[str]:  # noqa: ANN401
        found = await world.memories.recall(story.id, [1.0, 0.1], embedder="e", weights=ONLY_SIMILARITY, **options)
        return [each.memory.content for each in found]

    assert await recalled() == ["near", "across", "no vector", "far"]
    assert sorted((await recalled(character=mara))[:2]) == ["Mara's secret", "near"]
    assert "Tom's secret" not in await recalled(character=mara)
    assert await recalled(character=tom, kinds=["dream"]) == ["Tom's secret"]
    assert await recalled(character=tom, k=1, kinds=["nothing"]) == []
    best, *_ = await world.memories.recall(story.id, [1.0, 0.1], embedder="e", weights=ONLY_SIMILARITY)
    assert best.similarity == pytest.approx(1.0, abs=1e-6)
    assert best.score == best.similarity


async def test_importance_and_recency_weigh_as_documented(world: World, story: Story) -> None:
    same: dict[str, Any] = {"embedder": "e", "vector": [1.0, 0.0]}
    await remember(world, story, NewMemory("old", importance=0.5, **same))
    for number in range(10):
        await world.stories.append_scene(story.id, NewScene(f"{number}"))
    await remember(world, story, NewMemory("new", importance=0.25, **same))
    weights = RecallWeights(1, 2, 3, half_life=5)
    found = await world.memories.recall(story.id, [1.0, 0.0], embedder="e", weights=weights)

    assert [each.memory.content for each in found] == ["new", "old"]
    assert [each.score for each in found] == pytest.approx([1 + 2 * 0.25 + 3, 1 + 2 * 0.5 + 3 * 0.5**2])


async def test_of_more_than_the_candidates_those_count_that_importance_and_recency_put_first(
    world: World, story: Story
) -> None:
    await remember(
        world,
        story,
        NewMemory("lamp", importance=0.9, vector=[0.6, 0.8], embedder="e"),
        NewMemory("lamp, the nearest", importance=0.1, vector=[1.0, 0.0], embedder="e"),
        NewMemory("lamp, far", importance=0.5, vector=[0.0, 1.0], embedder="e"),
    )
    whole = await world.memories.recall(story.id, [1.0, 0.0], embedder="e", candidates=3)
    cut = await world.memories.recall(story.id, [1.0, 0.0], embedder="e", candidates=1)

    assert (whole[0].memory.content, whole.is_cut) == ("lamp, the nearest", False)
    assert (texts(tuple(each.memory for each in cut)), cut.is_cut) == (["lamp"], True)
    assert not (await world.memories.recall(story.id, "x", kinds=["none"])).is_cut
    for candidates in (0, 1_000_001):
        with pytest.raises(InvalidInput):
            await world.memories.recall(story.id, "x", candidates=candidates)


async def test_what_is_ancient_is_recalled(world: World, story: Story) -> None:
    await remember(world, story, NewMemory("the lamp"))
    for _ in range(3):
        await world.stories.append_scene(story.id, NewScene("x"))
    recalled = await world.memories.recall(story.id, "lamp", weights=RecallWeights(1, 0, 1, half_life=1e-6))

    assert texts(tuple(each.memory for each in recalled)) == ["the lamp"]


async def test_words_find_what_has_no_vector(world: World, story: Story) -> None:
    await remember(world, story, NewMemory("Nobody lit the lamp"), NewMemory("The tide came in over the causeway"))
    found = await world.memories.recall(story.id, "who lit the lamp?", weights=ONLY_SIMILARITY)

    assert [each.memory.content for each in found] == ["Nobody lit the lamp", "The tide came in over the causeway"]
    assert found[0].similarity > found[1].similarity
    assert await world.memories.recall(story.id, "' & ! (", k=1) != ()


async def test_undo_and_fork_carry_memories(world: World, story: Story) -> None:
    await world.stories.append_scene(story.id, NewScene("one"))
    await remember(world, story, NewMemory("at one"))
    await world.stories.append_scene(story.id, NewScene("two"))
    await remember(world, story, NewMemory("at two"))
    fork = await world.branches.fork(story.id, "fork", at=1)

    assert texts(await world.memories.recent(story.id)) == ["at two", "at one"]
    assert texts(await world.memories.recent(story.id, k=1)) == ["at two"]
    assert texts(await world.memories.recent(story.id, branch=fork.number)) == ["at one"]
    assert texts(await world.memories.recent(story.id, as_of=0)) == []
    with pytest.raises(SceneNotFound):
        await world.memories.recent(story.id, as_of=3)
    await world.branches.undo(story.id)
    assert [each.memory.content for each in await world.memories.recall(story.id, "two")] == ["at one"]


async def test_a_summary_stands_for_its_parts_only_where_it_is(
    world: World, story: Story, people: tuple[UUID, UUID]
) -> None:
    mara, tom = people
    parts = await remember(world, story, NewMemory("a", mara), NewMemory("b", mara, private=True))
    await world.stories.append_scene(story.id, NewScene("one"))
    summary = await world.memories.consolidate(story.id, [part.id for part in parts], NewMemory("a and b", mara))

    assert summary.private, "a summary of something private is private"
    assert texts(await world.memories.recent(story.id, character=mara)) == ["a and b"]
    assert texts(await world.memories.recent(story.id, character=tom)) == ["a"]
    assert texts(await world.memories.recent(story.id, character=mara, as_of=0)) == ["b", "a"]
    with pytest.raises(AlreadyConsolidated):
        await world.memories.consolidate(story.id, [parts[0].id], NewMemory("again", mara))
    assert await world.memories.forget([summary.id]) == 1
    assert await world.memories.forget([summary.id]) == 0
    assert texts(await world.memories.recent(story.id, character=mara)) == ["b", "a"]
    assert (await world.memories.get(summary.id)).forgotten_at is not None


async def test_only_what_one_has_and_can_see_is_consolidated(
    world: World, story: Story, people: tuple[UUID, UUID]
) -> None:
    mara, tom = people
    (toms,) = await remember(world, story, NewMemory("Tom's", tom))
    await world.stories.append_scene(story.id, NewScene("one"))
    (later,) = await remember(world, story, NewMemory("later", mara))
    await world.branches.undo(story.id)
    for bad in (toms.id, later.id, new_id()):
        with pytest.raises(MemoryNotFound):
            await world.memories.consolidate(story.id, [bad], NewMemory("summary", mara))
    with pytest.raises(InvalidInput):
        await world.memories.consolidate(story.id, [toms.id, toms.id], NewMemory("summary", tom))

    assert texts(await world.memories.recent(story.id, character=mara)) == ["Tom's"]


async def test_what_was_forgotten_can_be_remembered_again(world: World, story: Story) -> None:
    (first,) = await remember(world, story, NewMemory("the lamp"))
    await world.memories.forget([first.id])
    assert await world.memories.recent(story.id) == ()

    again = await world.memories.add(story.id, [NewMemory("the lamp", importance=0.9)])
    assert [(memory.id, memory.importance, created) for memory, created in again] == [(first.id, 0.9, True)]
    await world.memories.forget([first.id])
    await world.stories.append_scene(story.id, NewScene("one"))
    ((renewed, created),) = await world.memories.add(story.id, [NewMemory("the lamp")])
    assert (created, renewed.id != first.id) == (True, True)


async def test_vectors_that_cannot_be_compared_are_named(world: World, story: Story) -> None:
    await remember(world, story, NewMemory("two", embedder="e", vector=[1.0, 0.0]))
    with pytest.raises(DimensionMismatch) as caught:
        await world.memories.recall(story.id, [1.0, 0.0, 0.0], embedder="e")
    assert (caught.value.expected, caught.value.actual) == (2, 3)
    unfit: list[Any] = [[0.0, 0.0], [], [float("nan"), 1.0], [float("inf")], [True, 1.0], {1.0}]
    for bad in unfit:
        with pytest.raises(InvalidInput):
            await world.memories.recall(story.id, bad, embedder="e")
        with pytest.raises(InvalidInput):
            NewMemory("x", embedder="e", vector=bad)
    with pytest.raises(InvalidInput):
        NewMemory("x", vector=[1.0])
    with pytest.raises(InvalidInput):
        NewMemory("x", private=True)
    with pytest.raises(CharacterNotFound):
        await world.memories.add(story.id, [NewMemory("y"), NewMemory("x", new_id())])
    with pytest.raises(MemoryNotFound):
        await world.memories.get(new_id())

    assert texts(await world.memories.recent(story.id)) == ["two"]
