"""Memories get their vectors in the background, by one embedder at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from livingworld import LivingWorld, NewMemory, Story, World
from livingworld.errors import OutOfMemory
from livingworld.testing.hashing_embedder import HashingEmbedder
from livingworld.testing.staged_races import connected, holding
from tests.support.patience import until
from tests.support.turn_checks import rows, until_found

TEXTS = ("Nobody lit the lamp", "The tide came in over the causeway", "A boat lay upside down")


class Named(HashingEmbedder):
    """Another embedder of another name, which tells what it was asked and can refuse a text."""

    def __init__(self, name: str, dimensions: int = 64, *, refuses: str = "") -> None:
        super().__init__(dimensions)
        self.name = name
        self.refuses = refuses
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        self.asked += texts
        if self.refuses in texts:
            raise OutOfMemory
        return await super().embed(texts)


async def remember(world: World, story: Story, *texts: str) -> None:
    await world.memories.add(story.id, [NewMemory(text) for text in texts])


async def vectors(url: str) -> list[tuple[object, ...]]:
    return await rows(
        url,
        "SELECT m.content, v.embedder, cardinality(v.vector) FROM livingworld.memory_vectors v"
        " JOIN livingworld.memories m USING (world_id, memory_id) ORDER BY m.content, v.embedder",
    )


async def jobs(url: str) -> list[tuple[object, ...]]:
    return await rows(
        url, "SELECT embedder, attempts, error FROM livingworld.memory_embedding_jobs ORDER BY embedder, memory_id"
    )


async def test_memories_are_found_by_words_first_and_by_vectors_when_they_have_them(
    database_url: str, world: World, story: Story
) -> None:
    embedder = Named("one")
    ours = world.memory_embeddings(embedder)
    await remember(world, story, *TEXTS[:2])
    assert [each.memory.content for each in await ours.recall(story.id, "lamp", k=1)] == [TEXTS[0]]
    await ours.use()
    await remember(world, story, TEXTS[2])
    assert await vectors(database_url) == []

    assert await ours.run_once(limit=2) == 2
    assert await ours.run_all() == 1
    assert await jobs(database_url) == []
    assert await vectors(database_url) == [(text, "one", 64) for text in sorted(TEXTS)]
    best, *_ = await ours.recall(story.id, TEXTS[1])
    assert best.memory.content == TEXTS[1]
    assert best.similarity == pytest.approx(1, abs=1e-5)


ALL_HAVE_VECTORS = """
    SELECT count(*) FROM livingworld.memory_vectors
    HAVING count(*) = (SELECT count(*) FROM livingworld.memories)
"""


async def test_the_first_embedder_is_used_at_once(database_url: str, world: World, story: Story) -> None:
    await remember(world, story, *TEXTS)
    async with world.memory_embeddings(Named("first")).running():
        await until_found(database_url, ALL_HAVE_VECTORS)
    assert (await rows(database_url, "SELECT embedder FROM livingworld.memory_embedders")) == [("first",)]


async def test_an_embedder_that_is_not_the_first_is_not_used_until_it_is_said(
    database_url: str, world: World, story: Story
) -> None:
    await remember(world, story, *TEXTS)
    second = Named("second")
    async with holding(database_url, "LOCK TABLE livingworld.memory_embedders IN EXCLUSIVE MODE", commit=True) as held:
        both = [asyncio.create_task(world.memory_embeddings(each).run_all()) for each in (Named("first"), second)]
        await held.until_blocked(count=2)
    found = await asyncio.gather(*both)

    assert sorted(found) == [0, len(TEXTS)]
    ((embedder, coming),) = await rows(database_url, "SELECT embedder, next_embedder FROM livingworld.memory_embedders")
    assert embedder in {"first", "second"}
    assert coming is None


async def test_another_embedder_takes_over_when_every_memory_has_its_vector(
    database_url: str, world: World, story: Story
) -> None:
    old, new = Named("old"), Named("new", 32)
    await remember(world, story, *TEXTS)
    before = world.memory_embeddings(old)
    await before.use()
    await before.run_all()
    after = world.memory_embeddings(new, old)
    await after.use()
    await after.run_once(limit=2)
    old.asked.clear()

    assert (await after.recall(story.id, TEXTS[0]))[0].similarity == pytest.approx(1, abs=1e-5)
    assert old.asked == [], "the question was embedded before, and is known"
    await remember(world, story, "Somebody calls")
    assert await jobs(database_url) == [("new", 0, None), ("new", 0, None), ("old", 0, None)]
    assert await after.run_all() == 2
    assert await jobs(database_url) == []
    (switched,) = await rows(
        database_url, "SELECT embedder, dimensions, next_embedder FROM livingworld.memory_embedders"
    )
    assert switched == ("new", 32, None)
    assert (await after.recall(story.id, TEXTS[0]))[0].similarity == pytest.approx(1, abs=1e-5)
    assert len(await after.recall(story.id, "calls")) == 4


async def test_no_embedder_takes_over_while_another_process_still_embeds(
    database_url: str, world: World, story: Story
) -> None:
    await remember(world, story, *TEXTS)
    await world.memory_embeddings(Named("old")).use()
    new = world.memory_embeddings(Named("new"))
    await new.use()
    await new.run_once(limit=2)
    claimed = "UPDATE livingworld.memory_embedding_jobs SET claimed_until = now() + interval '1 hour' RETURNING 1"
    await rows(database_url, claimed)

    assert await new.run_once() == 0
    assert await rows(database_url, "SELECT embedder FROM livingworld.memory_embedders") == [("old",)]
    await rows(database_url, claimed.replace("+", "-"))
    assert await new.run_all() == 1
    assert await rows(database_url, "SELECT embedder FROM livingworld.memory_embedders") == [("new",)]


async def test_what_cannot_be_embedded_is_put_off_and_the_rest_is_not(
    database_url: str, world: World, story: Story
) -> None:
    embedder = Named("one", refuses=TEXTS[1])
    ours = world.memory_embeddings(embedder)
    await ours.use()
    await remember(world, story, *TEXTS)

    assert await ours.run_once() == 2
    assert [(name, attempts) for name, attempts, _ in await jobs(database_url)] == [("one", 1)]
    assert await ours.run_once() == 0, "it rests"
    embedder.refuses = ""
    await rows(database_url, "UPDATE livingworld.memory_embedding_jobs SET claimed_until = now() RETURNING 1")
    assert await ours.run_all() == 1


async def test_two_workers_share_the_work_and_the_dead_ones_work_is_done_by_another(
    database_url: str, world: World, story: Story
) -> None:
    await remember(world, story, *(f"memory {number}" for number in range(40)))
    one, other = Named("e"), Named("e")
    await world.memory_embeddings(one).use()
    async with LivingWorld.open(database_url=database_url) as elsewhere:
        there = await elsewhere.worlds.get(world.id)
        done = await asyncio.gather(
            *(world.memory_embeddings(one).run_once(5) for _ in range(4)),
            *(there.memory_embeddings(other).run_once(5) for _ in range(4)),
        )
    assert sum(done) == 40
    assert sorted(one.asked + other.asked) == sorted(f"memory {number}" for number in range(40))

    await remember(world, story, "left behind")
    async with connected(database_url) as dead:
        await dead.execute(
            "UPDATE livingworld.memory_embedding_jobs SET attempts = 1, claimed_until = now() + interval '1 hour'"
        )
        assert await world.memory_embeddings(one).run_all() == 0
        await dead.execute("UPDATE livingworld.memory_embedding_jobs SET claimed_until = now()")
    assert await world.memory_embeddings(one).run_all() == 1


async def test_a_claim_passes_by_what_another_one_claims_at_this_moment(
    database_url: str, world: World, story: Story
) -> None:
    await remember(world, story, *TEXTS)
    embedder = Named("e")
    await world.memory_embeddings(embedder).use()
    first = "SELECT FROM livingworld.memory_embedding_jobs ORDER BY memory_id LIMIT 1 FOR UPDATE"
    async with holding(database_url, first, []):
        assert await world.memory_embeddings(embedder).run_once(2) == 2
    assert await world.memory_embeddings(embedder).run_once(2) == 1


async def test_who_lost_the_claim_stores_nothing(database_url: str, world: World, story: Story) -> None:
    class Slow(Named):
        async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
            await rows(database_url, "UPDATE livingworld.memory_embedding_jobs SET attempts = attempts + 1 RETURNING 1")
            return await super().embed(texts)

    await remember(world, story, TEXTS[0])
    ours = world.memory_embeddings(Slow("e"))
    await ours.use()

    assert await ours.run_once() == 0
    assert await vectors(database_url) == []
    assert len(await jobs(database_url)) == 1


async def enough(url: str) -> bool:
    return len(await vectors(url)) == len(TEXTS)


async def test_a_service_embeds_while_the_block_runs_and_leaves_no_task(
    database_url: str, world: World, story: Story
) -> None:
    ours = world.memory_embeddings(Named("e"))
    await ours.use()
    tasks = len(asyncio.all_tasks())
    async with ours.running(every=timedelta(milliseconds=10)):
        await remember(world, story, *TEXTS)
        await until(lambda: enough(database_url))

    assert len(asyncio.all_tasks()) == tasks
