"""A call for vectors is cancelled at any moment: nothing is left behind, and the next one gets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from livingworld import LivingWorld
from livingworld.testing.staged_races import Connection
from tests.support.aftermath import assert_nothing_left, count, eventually
from tests.support.embedders import StagedEmbedder


@pytest_asyncio.fixture
async def livingworld(database_url: str, strict_loop: None) -> AsyncIterator[LivingWorld]:
    """Without a proxy: every task of the loop is the test's or the library's."""
    async with LivingWorld.open(database_url=database_url) as opened:
        yield opened


async def test_who_is_cancelled_at_any_moment_leaves_nothing(livingworld: LivingWorld, observer: Connection) -> None:
    before = asyncio.all_tasks()
    outcomes = set()
    for turns in range(10_000):
        world = await livingworld.worlds.create("Saltmarsh")
        embedder = StagedEmbedder()
        pipeline = world.embeddings(embedder)
        call = asyncio.create_task(pipeline.embed(["a", "b"]))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})

        async def over() -> bool:
            return not asyncio.all_tasks() - before

        assert await eventually(over), asyncio.all_tasks() - before
        await assert_nothing_left(livingworld, observer)
        assert (len(pipeline._shared.single_flight), embedder.under_way) == (0, 0)
        stored = await count(observer, "embedding_cache", world_id=world.id)
        outcomes.add((call.cancelled(), len(embedder.batches), stored))
        assert len(await pipeline.embed(["a", "b"])) == 2
        assert await count(observer, "embedding_cache", world_id=world.id) == 2
        if not call.cancelled():
            break

    assert {(True, 0, 0), (False, 1, 2)} <= outcomes
    assert {stored for _, _, stored in outcomes} == {0, 2}


async def test_who_is_cancelled_while_the_embedder_works_leaves_nothing(
    livingworld: LivingWorld, observer: Connection
) -> None:
    before = asyncio.all_tasks()
    world = await livingworld.worlds.create("Saltmarsh")
    embedder = StagedEmbedder()
    embedder.go.clear()
    pipeline = world.embeddings(embedder)
    call = asyncio.create_task(pipeline.embed(["a", "b"]))
    await embedder.begun.get()
    call.cancel()
    await asyncio.wait({call})

    async def over() -> bool:
        return not asyncio.all_tasks() - before

    assert await eventually(over), asyncio.all_tasks() - before
    await assert_nothing_left(livingworld, observer)
    assert (len(pipeline._shared.single_flight), embedder.under_way, embedder.cancelled) == (0, 0, 1)
    assert await count(observer, "embedding_cache", world_id=world.id) == 0
    embedder.go.set()
    assert len(await pipeline.embed(["a", "b"])) == 2
