"""Locks of a world: each with a transaction, held until that ends, also by the death of its process."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from livingworld import LivingWorld, NewLoreEntry, TransactionScope, World
from livingworld.errors import InvalidInput, LockOrderViolation, LockTimeout
from livingworld.postgres.locks import lock_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.testing.staged_races import holding
from tests.support.patience import patiently
from tests.support.staging import GaveUp, elsewhere, race, same_world, stop
from tests.support.turn_checks import rows

PROGRAM: Final = Path(__file__).with_name("lock_program.py")
SOON: Final = timedelta(milliseconds=50)
HELD: Final = "SELECT pg_advisory_xact_lock($1)"
LOCKS: Final = """
    SELECT mode, granted FROM pg_locks JOIN pg_database d ON d.oid = database
    WHERE d.datname = current_database() AND locktype = 'advisory' AND objsubid <= 2 ORDER BY mode, granted
"""


def key_of(world: World, name: str) -> int:
    return lock_key(LockKind.APPLICATION, world.id, name)


async def open_the_market(tx: TransactionScope, meet: Callable[[], Awaitable[object]] | None = None) -> bool:
    """Add the one entry of the market unless it is there, and return whether this call did; no constraint helps."""
    found = await tx.lore.list(book="market")
    if meet is not None:
        await meet()
    if not found.items:
        await tx.lore.add(NewLoreEntry("The market opens at low tide.", book="market"))
    return not found.items


async def entries(world: World) -> int:
    return len((await world.lore.list(book="market")).items)


async def test_of_eight_who_look_and_then_write_one_writes(database_url: str, world: World) -> None:
    async def go(each: World) -> bool:
        async with each.locks.exclusive("market") as tx:
            return await open_the_market(tx)

    async with same_world(database_url, world.id, pools=2) as worlds:
        contenders = [go(worlds[number % 2]) for number in range(8)]
        results = await race(database_url, HELD, [key_of(world, "market")], contenders, blocked=8)

    assert sorted(results, key=bool) == [False] * 7 + [True]
    assert await entries(world) == 1


async def test_without_the_lock_all_of_them_write(world: World) -> None:
    everybody = asyncio.Barrier(8)

    async def go() -> bool:
        async with world.transaction() as tx:
            return await open_the_market(tx, everybody.wait)

    assert await asyncio.gather(*(go() for _ in range(8))) == [True] * 8
    assert await entries(world) == 8


@pytest.mark.one_server("it looks for the lock on the node that it asks")
@pytest.mark.parametrize("way", ["exclusive", "shared", "try_exclusive"])
async def test_the_block_is_one_transaction_and_the_lock_ends_with_it(
    database_url: str, world: World, way: str
) -> None:
    async def work(*, fails: bool) -> None:
        async with elsewhere(getattr(world.locks, way)("market")) as tx:
            await open_the_market(tx)
            assert len(await rows(database_url, LOCKS)) == 1
            assert await entries(world) == 0
            if fails:
                raise GaveUp

    with pytest.raises(GaveUp):
        await work(fails=True)
    assert await rows(database_url, LOCKS) == []
    await work(fails=False)
    assert await rows(database_url, LOCKS) == []
    assert await entries(world) == 1


async def test_who_waits_too_long_is_told(world: World) -> None:
    async with elsewhere(world.locks.exclusive("market")):
        for late in (world.locks.exclusive("market", timeout=SOON), world.locks.shared("market", timeout=SOON)):
            with pytest.raises(LockTimeout):
                async with late:
                    raise AssertionError
        async with world.locks.exclusive("harbour", timeout=SOON):
            pass


async def test_many_share_and_no_other_gets_in(world: World) -> None:
    many = world.locks.shared
    async with elsewhere(many("market")), elsewhere(many("market")), world.locks.try_exclusive("market") as tx:
        assert tx is None
    async with world.locks.try_exclusive("market") as tx:
        assert tx is not None


async def test_who_is_told_none_holds_no_connection(database_url: str, world: World) -> None:
    async with (
        same_world(database_url, world.id, pools=1, pool_size=1, pool_timeout=1) as (narrow,),
        elsewhere(world.locks.exclusive("market")),
        narrow.locks.try_exclusive("market") as tx,
    ):
        assert tx is None
        assert await entries(narrow) == 0


async def test_further_names_come_in_order_or_are_refused(world: World) -> None:
    first, last = sorted(["market", "harbour"], key=lambda name: key_of(world, name))
    async with world.locks.exclusive(first) as tx:
        await tx.locks.exclusive(last)
    async with elsewhere(world.locks.exclusive(first)), world.locks.exclusive(last) as tx:
        with pytest.raises(LockOrderViolation):
            await tx.locks.exclusive(first)


async def test_a_cancelled_wait_leaves_no_lock_and_no_transaction(database_url: str, world: World) -> None:
    async def wait() -> None:
        async with world.locks.exclusive("market"):
            raise AssertionError

    async with holding(database_url, HELD, [key_of(world, "market")]) as holder:
        waiting = asyncio.create_task(wait())
        await holder.until_blocked()
        await stop([waiting])
        open_ones = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND xact_start < now()"
        assert len(await rows(database_url, open_ones)) == 1
    assert await rows(database_url, LOCKS) == []


async def test_the_lock_of_a_killed_process_is_free_and_what_it_wrote_is_gone(database_url: str, world: World) -> None:
    arguments = [str(PROGRAM), database_url, str(world.id), "market"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    program = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=PIPE, stdout=PIPE, env=environment)
    try:
        assert program.stdout
        async with patiently():
            assert await program.stdout.readline() == b"held\n"
        async with world.locks.try_exclusive("market") as tx:
            assert tx is None
        program.kill()
        async with world.locks.exclusive("market") as tx:
            assert await open_the_market(tx)
    finally:
        with suppress(ProcessLookupError):
            program.kill()
        await program.communicate()


async def test_what_is_no_name_and_no_time_is_refused(world: World) -> None:
    refused: list[tuple[str, Any]] = [
        ("name", world.locks.exclusive("")),
        ("name", world.locks.shared("\x00")),
        ("name", world.locks.try_exclusive("x" * 501)),
        ("timeout", world.locks.exclusive("market", timeout=1)),  # type: ignore[arg-type]
        ("timeout", world.locks.shared("market", timeout=timedelta(days=2))),
        ("timeout", world.locks.exclusive("market", timeout=timedelta(seconds=-1))),
    ]
    for field, lock in refused:
        with pytest.raises(InvalidInput) as invalid:
            async with lock:
                raise AssertionError
        assert invalid.value.field == field


async def test_worlds_share_no_names(livingworld: LivingWorld, world: World) -> None:
    other = await livingworld.worlds.create("Fen")
    async with elsewhere(world.locks.exclusive("market")), other.locks.try_exclusive("market") as tx:
        assert tx is not None
