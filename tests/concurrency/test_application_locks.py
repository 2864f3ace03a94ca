"""Locks on names of the application's own: they end with the transaction, and are asked for in order."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from livingworld import LivingWorld, Story, World
from livingworld.errors import InvalidInput, LockOrderViolation, LockTimeout
from livingworld.postgres.locks import lock_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.testing.staged_races import connected, holding
from tests.support.staging import elsewhere, race

SOON = timedelta(milliseconds=50)

#: Those that a function of PostgreSQL takes: Citus's own have other classes.
ADVISORY_LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid <= 2"


def names_in_order(world: World, *names: str) -> list[str]:
    """Return names in the order in which one transaction may wait for them."""
    return sorted(names, key=lambda name: lock_key(LockKind.APPLICATION, world.id, name))


async def test_one_has_the_lock_and_it_ends_with_the_transaction(world: World) -> None:
    async with elsewhere(world.transaction()) as first:
        await first.locks.exclusive("harbour")
        await first.locks.exclusive("harbour")
        await first.locks.shared("harbour")
        assert await first.locks.try_exclusive("harbour")
        async with elsewhere(world.transaction()) as other:
            assert not await other.locks.try_exclusive("harbour")
            assert await other.locks.try_exclusive("lighthouse")
        with pytest.raises(LockTimeout):
            async with elsewhere(world.transaction()) as late:
                await late.locks.exclusive("harbour", timeout=SOON)
    async with world.transaction() as last:
        assert await last.locks.try_exclusive("harbour")


async def test_many_share_and_no_other_gets_in(world: World) -> None:
    async with elsewhere(world.transaction()) as first, elsewhere(world.transaction()) as second:
        await first.locks.shared("harbour")
        await second.locks.shared("harbour")
        async with elsewhere(world.transaction()) as other:
            assert not await other.locks.try_exclusive("harbour")
        with pytest.raises(LockOrderViolation):
            await second.locks.exclusive("harbour")
        assert not await first.locks.try_exclusive("harbour")


async def test_a_single_sharer_may_take_it_alone(world: World) -> None:
    async with elsewhere(world.transaction()) as tx:
        await tx.locks.shared("harbour")
        await tx.locks.exclusive("harbour")
        async with elsewhere(world.transaction()) as other:
            assert not await other.locks.try_exclusive("harbour")


async def test_a_counter_outside_the_database_loses_nothing_under_the_lock(database_url: str, world: World) -> None:
    counter = [0]

    async def count() -> None:
        async with world.transaction() as tx:
            await tx.locks.exclusive("counter")
            seen = counter[0]
            await tx.characters.find("no one")  # others get to run here
            counter[0] = seen + 1

    key = lock_key(LockKind.APPLICATION, world.id, "counter")
    results = await race(
        database_url, "SELECT pg_advisory_xact_lock($1)", [key], [count() for _ in range(8)], blocked=8
    )

    assert results == [None] * 8
    assert counter == [8]


async def test_a_wait_out_of_order_is_refused_and_what_is_free_is_given(
    database_url: str, world: World, story: Story
) -> None:
    first, last = names_in_order(world, "harbour", "lighthouse")
    async with world.transaction() as tx:
        await tx.locks.exclusive(last)
        await tx.locks.exclusive(first)
    key = lock_key(LockKind.APPLICATION, world.id, first)
    async with holding(database_url, "SELECT pg_advisory_xact_lock($1)", [key]), world.transaction() as tx:
        await tx.locks.exclusive(last)
        with pytest.raises(LockOrderViolation):
            await tx.locks.exclusive(first)
    async with world.transaction() as tx:
        await tx.stories.lock(story.id)
        await tx.locks.exclusive("harbour")
    key = lock_key(LockKind.APPLICATION, world.id, "harbour")
    async with holding(database_url, "SELECT pg_advisory_xact_lock($1)", [key]), world.transaction() as tx:
        await tx.stories.lock(story.id)
        with pytest.raises(LockOrderViolation):
            await tx.locks.exclusive("harbour")


async def test_worlds_share_no_names_and_names_are_checked(livingworld: LivingWorld, world: World) -> None:
    other = await livingworld.worlds.create("Saltmarsh")
    async with elsewhere(world.transaction()) as here, other.transaction() as there:
        await here.locks.exclusive("harbour")
        assert await there.locks.try_exclusive("harbour")
        for name in ("", "\x00", "x" * 501):
            with pytest.raises(InvalidInput):
                await here.locks.exclusive(name)


async def test_a_cancelled_wait_leaves_no_lock(database_url: str, world: World) -> None:
    key = lock_key(LockKind.APPLICATION, world.id, "harbour")

    async def wait() -> None:
        async with world.transaction() as tx:
            await tx.locks.exclusive("harbour")

    async with holding(database_url, "SELECT pg_advisory_xact_lock($1)", [key]) as holder:
        task = asyncio.create_task(wait())
        await holder.until_blocked(count=1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with connected(database_url) as connection:
        assert await connection.fetchval(ADVISORY_LOCKS) == 0
