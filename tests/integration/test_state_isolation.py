"""World state belongs to one world, and goes with its story or its world."""

from __future__ import annotations

import pytest

from livingworld import LivingWorld, NewMemory, NewScene, NewState, RelationshipChange, Story, World
from livingworld.errors import CharacterNotFound, MemoryNotFound, StoryNotFound
from livingworld.schema import metadata
from livingworld.testing.hashing_embedder import HashingEmbedder
from livingworld.testing.staged_races import connected

STATE = ("fact_names", "facts", "memories", "memory_vectors", "relationship_changes", "relationships")


async def tell(world: World) -> Story:
    """Tell one scene with all that a scene can bring, in a story of always the same names."""
    story = await world.stories.create("The Causeway")
    embeddings = world.memory_embeddings(HashingEmbedder(16))
    await embeddings.use()
    async with world.turns.take(story.id, request_key="one") as turn:
        state = NewState(
            facts={("Mara", "mood"): "wary"},
            relationships=[RelationshipChange("Mara", "Tom", trust=0.5)],
            memories=[NewMemory("the lamp", "Mara"), NewMemory("the tide")],
        )
        await turn.commit(NewScene("one", (), ["Mara", "Tom"]), state)
    await embeddings.run_all()
    return story


async def counts(url: str) -> dict[str, int]:
    async with connected(url) as connection:
        return {
            table.name: await connection.fetchval(f"SELECT count(*) FROM livingworld.{table.name}")  # noqa: S608
            for table in metadata.sorted_tables
        }


async def test_two_worlds_with_equal_names_never_see_each_other(livingworld: LivingWorld, world: World) -> None:
    other = await livingworld.worlds.create("Saltmarsh")
    story, twin = await tell(world), await tell(other)
    mara, tom = sorted(
        felt for each in await world.relationships.graph(story.id) for felt in (each.source, each.target)
    )
    (memory, *_) = await world.memories.recent(story.id)

    for call in (
        other.facts.all(story.id),
        other.relationships.graph(story.id),
        other.memories.recent(story.id),
        other.memories.recall(story.id, "lamp"),
        other.facts.set(story.id, "Mara", "mood", "glad"),
        other.memories.add(story.id, [NewMemory("x")]),
    ):
        with pytest.raises(StoryNotFound):
            await call
    with pytest.raises(MemoryNotFound):
        await other.memories.get(memory.id)
    with pytest.raises(CharacterNotFound):
        await other.relationships.adjust(twin.id, mara, tom, trust=0.1)
    with pytest.raises(CharacterNotFound):
        await other.memories.add(twin.id, [NewMemory("x", mara)])
    assert await other.memories.forget([memory.id]) == 0
    await other.facts.set(twin.id, "Mara", "mood", "glad")
    assert [fact.value for fact in await world.facts.all(story.id)] == ["wary"]
    assert {each.content for each in await world.memories.recent(story.id)} == {"the lamp", "the tide"}


async def test_a_story_takes_its_state_along_and_a_world_everything(
    database_url: str, livingworld: LivingWorld, world: World
) -> None:
    before = await counts(database_url)
    story = await tell(world)
    filled = await counts(database_url)
    assert all(filled[name] for name in STATE), filled
    await world.stories.purge(story.id)
    emptied = await counts(database_url)
    assert {name: emptied[name] for name in STATE} == dict.fromkeys(STATE, 0)

    await tell(world)
    await livingworld.worlds.purge(world.id)
    assert await counts(database_url) == {**before, "worlds": 0}
