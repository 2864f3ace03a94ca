"""Among many memories recall finds by an index what is near, and none that an exact recall would leave out."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import make_url

from livingworld import LivingWorld, NewMemory, NewScene, RecallWeights, Story, World
from livingworld.errors import DimensionMismatch, InvalidInput
from livingworld.postgres import migrations
from livingworld.schema import metadata
from livingworld.story.memories.nearest_index import index_memories
from livingworld.story.memories.vector_similarity import NEAREST_INDEX
from livingworld.testing.staged_races import connected

MANY = 1200
BY_VECTOR = RecallWeights(1, 0, 0)
chance = random.Random(11)
VECTORS = [[chance.gauss(0, 1) for _ in range(16)] for _ in range(MANY)]


@pytest_asyncio.fixture
async def filled(database_url: str, world: World, story: Story) -> AsyncIterator[World]:
    """Give each of many scenes a memory of one of three kinds, every fifth of them private."""
    async with connected(database_url) as connection:
        if not await connection.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'vector'"):
            pytest.skip("this server has no pgvector")
    await world.memories.use_embedder("e", 16)
    character, _ = await world.characters.get_or_create("Mara")
    for begin in range(0, MANY, 400):
        await world.stories.append_scene(story.id, NewScene("x"))
        made = [
            NewMemory(
                f"{number}",
                character.id if number % 5 == 0 else None,
                kind=f"kind {number % 3}",
                private=number % 5 == 0,
                vector=VECTORS[number],
                embedder="e",
            )
            for number in range(begin, begin + 400)
        ]
        await world.memories.add(story.id, made)
    yield world


async def contents(world: World, story: Story, vector: list[float], **options: object) -> list[str]:
    found = await world.memories.recall(story.id, vector, k=5, weights=BY_VECTOR, **options)  # type: ignore[arg-type]
    return [each.memory.content for each in found]


async def uses(url: str) -> int:
    """Return how often the index was read."""
    async with connected(url) as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        count: int = await connection.fetchval(
            "SELECT sum(idx_scan) FROM pg_stat_user_indexes WHERE indexrelname LIKE $1 || '%'", NEAREST_INDEX
        )
        return count


@pytest.mark.direct_connection("a pooler keeps the session, which has not told yet what it read")
async def test_the_index_gives_what_an_exact_recall_gives(database_url: str, filled: World, story: Story) -> None:
    narrowed: list[dict[str, object]] = [{}, {"kinds": ["kind 1"]}, {"as_of": 2}]
    exact = [await contents(filled, story, VECTORS[n], **options) for n in (7, 402, 803) for options in narrowed]

    await index_memories(make_url(database_url), filled.id)
    async with LivingWorld.open(database_url=database_url) as livingworld:
        again = await livingworld.worlds.get(filled.id)
        near = [await contents(again, story, VECTORS[n], **options) for n in (7, 402, 803) for options in narrowed]
        found = await again.memories.recall(story.id, VECTORS[7], k=5)

    assert near == exact
    assert found.is_cut
    assert await uses(database_url) > 0
    assert await migrations.check(make_url(database_url), metadata) == []


async def test_what_the_story_does_not_have_leaves_no_answer_short(
    database_url: str, filled: World, story: Story
) -> None:
    other = await filled.stories.create("Another")
    near_to_all = [NewMemory(f"other {number}", vector=VECTORS[7], embedder="e") for number in range(900)]
    await filled.memories.add(other.id, near_to_all)
    await filled.memories.forget([each.memory.id for each in await filled.memories.recall(story.id, VECTORS[7], k=1)])
    exact = await contents(filled, story, VECTORS[7])

    await index_memories(make_url(database_url), filled.id)

    assert await contents(filled, story, VECTORS[7]) == exact
    assert len(exact) == 5


async def test_a_vector_of_another_length_is_refused_with_an_index_too(
    database_url: str, filled: World, story: Story
) -> None:
    await index_memories(make_url(database_url), filled.id)

    with pytest.raises(DimensionMismatch):
        await filled.memories.recall(story.id, [1.0, 0.0])


async def test_an_index_needs_an_embedder_and_is_made_anew(database_url: str, filled: World) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld:
        empty = await livingworld.worlds.create("empty")
    with pytest.raises(InvalidInput):
        await index_memories(make_url(database_url), empty.id)
    assert await index_memories(make_url(database_url), filled.id) == await index_memories(
        make_url(database_url), filled.id
    )


async def test_a_database_without_pgvector_is_refused(database_url: str, world: World) -> None:
    async with connected(database_url) as connection:
        await connection.execute("DROP EXTENSION IF EXISTS vector CASCADE")

    with pytest.raises(InvalidInput):
        await index_memories(make_url(database_url), world.id)
