"""A world is purged while a transaction has one of its rows and comes to need the world's: no deadlock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import Final, TypeAlias

import pytest

from livingworld import Cycle, LivingWorld, NewLoreEntry, TransactionScope, World
from livingworld.errors import Fenced, VersionConflict, WorldNotFound
from livingworld.testing.staged_races import connected, until_blocked
from tests.support.staging import backend_of, deadlocks, elsewhere
from tests.support.turn_checks import rows

Having: TypeAlias = Callable[[World], AbstractAsyncContextManager[TransactionScope]]

LEFT: Final = """
    SELECT name FROM livingworld.leases UNION ALL SELECT name FROM livingworld.cycles
    UNION ALL SELECT title FROM livingworld.lore_entries UNION ALL SELECT embedder FROM livingworld.memory_embedders
    UNION ALL SELECT lane FROM livingworld.lanes
"""


@asynccontextmanager
async def having_a_lease(world: World) -> AsyncIterator[TransactionScope]:
    async with world.leases.hold("tide") as lease, elsewhere(world.transaction()) as tx:
        await tx.prove(lease)
        yield tx


@asynccontextmanager
async def having_a_cycle(world: World) -> AsyncIterator[TransactionScope]:
    """Run a cycle whose one phase holds its row until the block ends, and then finds its world gone."""
    began: asyncio.Future[Cycle] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def phase(cycle: Cycle) -> None:
        began.set_result(cycle)
        await over.wait()

    running = asyncio.create_task(world.cycles.run("tide", {"plan": phase}))
    try:
        async with elsewhere(world.transaction()) as tx:
            await tx.prove(await began)
            yield tx
    finally:
        over.set()
        with suppress(Fenced):
            await running


@asynccontextmanager
async def having_a_lore_entry(world: World) -> AsyncIterator[TransactionScope]:
    """Lock an entry by an edit that comes too late, in a transaction that goes on."""
    entry = await world.lore.add(NewLoreEntry("It turns."))
    async with elsewhere(world.transaction()) as tx:
        with pytest.raises(VersionConflict):
            await tx.lore.update(entry.id, expected_version=2, content="It turned.")
        yield tx


@asynccontextmanager
async def having_the_embedder(world: World) -> AsyncIterator[TransactionScope]:
    await world.memories.use_embedder("hash", 8)
    async with elsewhere(world.transaction()) as tx:
        await tx.memories.use_embedder("hash", 8)
        yield tx


@asynccontextmanager
async def having_a_lane(world: World) -> AsyncIterator[TransactionScope]:
    await world.actions.limit_lane("tide", 9)
    async with elsewhere(world.transaction()) as tx:
        await tx.actions.limit_lane("tide", 8)
        yield tx


@pytest.mark.parametrize(
    "having", [having_a_lane, having_a_lease, having_a_cycle, having_a_lore_entry, having_the_embedder]
)
async def test_a_purge_waits_for_who_has_a_row_while_the_worlds_row_is_free_to_touch(
    database_url: str, livingworld: LivingWorld, world: World, having: Having
) -> None:
    async with connected(database_url) as observer:
        async with having(world) as tx:
            writer = await backend_of(tx)
            purge = asyncio.create_task(livingworld.worlds.purge(world.id))
            await until_blocked(observer, by=writer)
            await tx.lore.add(NewLoreEntry("It is under water."))
        await purge

    assert await deadlocks(database_url) == 0
    assert await rows(database_url, LEFT) == []
    with pytest.raises(WorldNotFound):
        await livingworld.worlds.get(world.id)


async def test_a_lease_that_came_while_a_purge_waited_is_waited_for_too(
    database_url: str, livingworld: LivingWorld, world: World
) -> None:
    async with connected(database_url) as observer, AsyncExitStack() as stack:
        async with having_a_lore_entry(world) as former:
            purge = asyncio.create_task(livingworld.worlds.purge(world.id))
            await until_blocked(observer, by=await backend_of(former))
            lease = await stack.enter_async_context(world.leases.hold("new"))
            tx = await stack.enter_async_context(elsewhere(world.transaction()))
            await tx.prove(lease)
            writer = await backend_of(tx)
        await until_blocked(observer, by=writer)
        await tx.lore.add(NewLoreEntry("It is under water."))
    await purge

    assert await deadlocks(database_url) == 0
    assert await rows(database_url, LEFT) == []
