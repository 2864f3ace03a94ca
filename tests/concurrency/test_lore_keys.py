"""A match knows every key that was committed before it began, whoever wrote it and in whatever order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from livingworld import LivingWorld, NewLoreEntry, TransactionScope, World
from livingworld.story.lore import lore_keys
from livingworld.testing.staged_races import connected


@asynccontextmanager
async def elsewhere(url: str, world: World) -> AsyncIterator[World]:
    """Open the world as another process does."""
    async with LivingWorld.open(database_url=url) as livingworld:
        yield await livingworld.worlds.get(world.id)


async def called(world: World | TransactionScope, text: str = "lamp gull tide") -> list[str]:
    return [each.key or "" for each in await world.lore.match(text)]


async def test_what_another_process_changes_is_matched_at_once(database_url: str, world: World) -> None:
    async with elsewhere(database_url, world) as other:
        assert await called(world) == await called(other) == []
        entry = await other.lore.add(NewLoreEntry("x", ["lamp"]))
        assert await called(world) == ["lamp"]
        entry = await other.lore.update(entry.id, expected_version=1, keys=["gull"])
        assert await called(world) == ["gull"]
        entry = await other.lore.update(entry.id, expected_version=2, enabled=False)
        assert await called(world) == []
        await other.lore.update(entry.id, expected_version=3, enabled=True)
        await other.lore.remove(entry.id, expected_version=4)
        assert await called(world) == []
        await other.lore.restore(entry.id, 1, expected_version=5)
        assert await called(world) == ["lamp"]


async def test_a_change_that_is_committed_after_a_later_one_is_matched(database_url: str, world: World) -> None:
    entry = await world.lore.add(NewLoreEntry("x", ["lamp"]))
    async with elsewhere(database_url, world) as other:
        async with other.transaction() as tx:
            await tx.lore.update(entry.id, expected_version=1, keys=["gull"])
            await world.lore.add(NewLoreEntry("y", ["tide"]))
            assert await called(world) == ["lamp", "tide"]
        assert sorted(await called(world)) == ["gull", "tide"]


async def test_marks_stay_few_and_no_writer_waits_for_another(database_url: str, world: World) -> None:
    await world.lore.add(NewLoreEntry("x", ["lantern"]))
    async with world.transaction() as tx:
        await tx.lore.add(NewLoreEntry("x", ["lamp"]))  # it holds the mark that the others would remove
        async with elsewhere(database_url, world) as other:
            for number in range(5):
                await other.lore.add(NewLoreEntry("x", [f"gull {number}"]))
    await world.lore.add(NewLoreEntry("x", ["tide"]))

    async with connected(database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM livingworld.lore_changes") == 1
    assert sorted(await called(world, "lamp gull 4 tide")) == ["gull 4", "lamp", "tide"]


async def test_a_transaction_matches_what_it_wrote_and_nobody_else_does(world: World) -> None:
    with pytest.raises(ZeroDivisionError):
        async with world.transaction() as tx:
            await tx.lore.add(NewLoreEntry("x", ["lamp"]))
            assert await called(tx) == ["lamp"]
            await tx.lore.add(NewLoreEntry("x", ["gull"]))
            assert sorted(await called(tx)) == ["gull", "lamp"]
            raise ZeroDivisionError
    assert await called(world) == []


async def test_keys_are_read_once_for_all_who_wait_for_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = 0
    read = lore_keys._read

    async def counted(tx: object) -> object:
        nonlocal readings
        readings += 1
        return await read(tx)  # type: ignore[arg-type]

    monkeypatch.setattr(lore_keys, "_read", counted)
    await world.lore.add(NewLoreEntry("x", ["lamp"]))
    assert await asyncio.gather(*(called(world) for _ in range(16))) == [["lamp"]] * 16
    assert readings == 1
    await world.lore.add(NewLoreEntry("x", ["gull"]))
    await asyncio.gather(*(called(world) for _ in range(16)))
    assert readings == 2
