"""A story or a world is purged while what runs in the background writes to several of its rows: no deadlock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import pytest

from livingworld import LivingWorld, NewMemory, NewScene, Settings, Story, World
from livingworld.errors import OutOfMemory
from livingworld.postgres import leases
from livingworld.testing.hashing_embedder import HashingEmbedder
from livingworld.testing.staged_races import holding
from tests.support.staging import deadlocks, done_or_behind, stop
from tests.support.turn_checks import rows, until_found

# Nobody may remove such a row, and everybody may update it or refer to it.
ONE_MEMORY: Final = "SELECT FROM livingworld.memories WHERE content = 'It snowed.' FOR KEY SHARE"
ITS_JOB: Final = """
    SELECT FROM livingworld.memory_embedding_jobs AS j JOIN livingworld.memories AS m USING (world_id, memory_id)
    WHERE m.content = 'It snowed.' FOR KEY SHARE OF j
"""
ONE_EXECUTION: Final = "SELECT FROM livingworld.script_executions WHERE name = 'tide' FOR KEY SHARE"


class Pausing(HashingEmbedder):
    """An embedder that answers when it is let."""

    def __init__(self, *, refuses: bool) -> None:
        super().__init__(8)
        self.name = "pausing"
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        self.refuses = refuses

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        self.asked.set()
        await self.go_on.wait()
        if self.refuses:
            raise OutOfMemory
        return await super().embed(texts)


@asynccontextmanager
async def half_purged(url: str, purge: Coroutine[Any, Any, None], last: str) -> AsyncIterator[int]:
    """Hold a purge before its last row, give its PostgreSQL process, and let it end when the block has."""
    async with holding(url, last) as gate:
        purging = asyncio.create_task(purge)
        try:
            (pid,) = await gate.until_blocked()
            yield pid
        except BaseException:
            await stop([purging])
            raise
    await purging


async def until_renewed(url: str) -> None:
    """Wait until the held execution's row is renewed."""
    expires = "SELECT expires_at FROM livingworld.script_executions WHERE name = 'tide'"
    ((before,),) = await rows(url, expires)
    await until_found(url, f"{expires} AND expires_at > $1", before)


async def remember_backwards(world: World, story: Story) -> None:
    """Remember two texts, of which a purge comes to the second one first."""
    for content in ("One.", "Two."):
        await world.stories.append_scene(story.id, NewScene(content))
    ((first, _),) = await world.memories.add(story.id, [NewMemory("It snowed.")])
    await world.branches.undo(story.id)
    await world.memories.add(story.id, [NewMemory("It rained.")])
    await world.memories.forget([first.id])  # a row that was changed stands last in its table


@pytest.mark.parametrize(("refuses", "last"), [(False, ONE_MEMORY), (True, ITS_JOB)], ids=["embedded", "put off"])
async def test_memories_are_embedded_beside_the_purge_of_their_story(
    database_url: str, world: World, story: Story, *, refuses: bool, last: str
) -> None:
    embedder = Pausing(refuses=refuses)
    ours = world.memory_embeddings(embedder)
    await ours.use()
    await remember_backwards(world, story)
    embedding = asyncio.create_task(ours.run_once())
    await embedder.asked.wait()

    async with half_purged(database_url, world.stories.purge(story.id), last) as purging:
        embedder.go_on.set()
        await done_or_behind(embedding, database_url, purging)
    await embedding

    assert await deadlocks(database_url) == 0
    assert await rows(database_url, "SELECT memory_id FROM livingworld.memories") == []


async def test_an_embedder_becomes_the_worlds_beside_the_purge_of_a_story(
    database_url: str, world: World, story: Story
) -> None:
    await remember_backwards(world, story)
    async with half_purged(database_url, world.stories.purge(story.id), ONE_MEMORY) as purging:
        using = asyncio.create_task(world.memories.use_embedder("hash", 8))
        await done_or_behind(using, database_url, purging)
    await using

    assert await deadlocks(database_url) == 0
    assert await rows(database_url, "SELECT memory_id FROM livingworld.memory_embedding_jobs") == []


async def test_executions_of_scripts_are_renewed_beside_the_purge_of_their_world(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEWALS", 36_000)  # ten times a second
    settings = Settings.load(database_url=database_url, script_lease=timedelta(hours=1))
    async with AsyncExitStack() as stack:
        livingworld = await stack.enter_async_context(LivingWorld.open(settings))
        world = await livingworld.worlds.create("w")
        for name in ("ebb", "tide"):  # a purge goes by the order in which they were published
            await world.scripts.publish(name, "It turns.", kind="plain")
        for name in ("tide", "ebb"):
            await stack.enter_async_context(world.scripts.use(name))
        async with half_purged(database_url, livingworld.worlds.purge(world.id), ONE_EXECUTION) as purging:
            renewed = asyncio.create_task(until_renewed(database_url))
            await done_or_behind(renewed, database_url, purging)
            await stop([renewed])

        assert await deadlocks(database_url) == 0
