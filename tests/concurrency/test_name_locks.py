"""Several names in one transaction, in any order, never make two transactions wait for each other."""

from __future__ import annotations

import asyncio

import pytest

from livingworld import Character, World
from livingworld.errors import NameTaken
from livingworld.postgres import locks
from livingworld.testing.staged_races import Connection, connected, holding, until_blocked
from tests.support.staging import deadlocks, elsewhere, kinds, same_world, stop

NAMES = [f"Guest {number}" for number in range(12)]
NEW_NAMES = "LOCK TABLE livingworld.characters IN SHARE MODE"


async def bring_in_one_by_one(world: World, names: list[str], meeting: asyncio.Barrier) -> list[Character]:
    """Take the first name, wait until everybody has his, and take the others."""
    async with world.transaction() as tx:
        first, _ = await tx.characters.get_or_create(names[0])
        await meeting.wait()
        return [first] + [(await tx.characters.get_or_create(name))[0] for name in names[1:]]


async def lock_naively(connection: Connection, keys: list[int], meeting: asyncio.Barrier) -> None:
    async with connection.transaction():
        await connection.execute("SET LOCAL deadlock_timeout = '100ms'")
        for key in keys:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", key)
            if key == keys[0]:
                await meeting.wait()


async def test_one_transaction_takes_names_in_any_order(world: World) -> None:
    async with world.transaction() as tx:
        for name in [*NAMES, *reversed(NAMES)]:
            await tx.characters.get_or_create(name)

    assert {character.name for character in (await world.characters.list()).items} == set(NAMES)


async def test_opposite_orders_in_two_transactions_end_in_a_refusal_and_no_deadlock(
    database_url: str, world: World
) -> None:
    meeting = asyncio.Barrier(2)
    results = await asyncio.gather(
        bring_in_one_by_one(world, ["Mara", "Tom"], meeting),
        bring_in_one_by_one(world, ["Tom", "Mara"], meeting),
        return_exceptions=True,
    )

    assert kinds(results) == ["LockOrderViolation", "list"]
    assert sorted(character.name for character in (await world.characters.list()).items) == ["Mara", "Tom"]
    assert await deadlocks(database_url) == 0


async def test_opposite_orders_without_the_guard_do_deadlock(database_url: str) -> None:
    meeting = asyncio.Barrier(2)
    async with connected(database_url) as one, connected(database_url) as other:
        results = await asyncio.gather(
            lock_naively(one, [1, 2], meeting), lock_naively(other, [2, 1], meeting), return_exceptions=True
        )

    assert kinds(results) == ["DeadlockDetectedError", "NoneType"]
    assert await deadlocks(database_url) == 1


async def test_many_names_in_one_call_are_never_refused_whatever_their_order(database_url: str, world: World) -> None:
    orders = [NAMES[shift:] + NAMES[:shift] for shift in range(0, 12, 2)]
    async with same_world(database_url, world.id, pools=2) as worlds:
        async with holding(database_url, NEW_NAMES) as holder:
            calls = [
                asyncio.create_task(worlds[shift % 2].characters.get_or_create_many(order))
                for shift, order in enumerate(orders)
            ]
            await holder.until_blocked(count=len(orders))
        answers = await asyncio.gather(*calls)

    assert len({character.id for answer in answers for character, _ in answer}) == 12
    assert sum(created for answer in answers for _, created in answer) == 12
    for order, answer in zip(orders, answers, strict=True):
        assert [character.name for character, _ in answer] == order
    assert await deadlocks(database_url) == 0


@pytest.mark.one_server("it looks for the lock on the node that it asks")
async def test_names_whose_keys_collide_only_wait_for_each_other(
    database_url: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "lock_key", lambda *_: 7)
    async with connected(database_url) as observer, elsewhere(world.transaction()) as tx:
        await tx.characters.get_or_create_many(NAMES[:2])
        holder = await observer.fetchval(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid <= 2 AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        calls = [asyncio.create_task(world.characters.get_or_create(name)) for name in NAMES * 2]
        try:
            await until_blocked(observer, by=holder, count=9)  # every other connection of the pool
        except BaseException:
            await stop(calls)
            raise
    answers = await asyncio.gather(*calls)

    assert len({character.id for character, _ in answers}) == 12
    assert [character.name for character, _ in answers] == NAMES * 2
    assert sum(created for _, created in answers) == 10
    assert await deadlocks(database_url) == 0


async def test_two_characters_that_want_one_alias_are_told_apart(database_url: str, world: World) -> None:
    (mara, _), (tom, _) = await world.characters.get_or_create_many(["Mara", "Tom"])
    table = "LOCK TABLE livingworld.character_names IN SHARE MODE"
    async with holding(database_url, table) as holder:
        wishes = [asyncio.create_task(world.characters.add_alias(who.id, "The Stranger")) for who in (mara, tom)]
        await holder.until_blocked(count=2)
    results = await asyncio.gather(*wishes, return_exceptions=True)

    owner = await world.characters.find("the  stranger")
    assert owner is not None
    assert kinds(results) == ["Character", "NameTaken"]
    assert [error.character_id for error in results if isinstance(error, NameTaken)] == [owner.id]
