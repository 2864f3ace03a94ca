"""Several writers change the document that they all have read, or that none of them found."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from livingworld import Document, MergeResult, World
from livingworld.errors import LockOrderViolation, VersionConflict
from livingworld.postgres.locks import lock_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.testing.staged_races import connected, holding
from tests.support.staging import deadlocks, kinds, race, same_world
from tests.support.turn_checks import rows

THE_DOCUMENT = "SELECT FROM livingworld.documents WHERE world_id = $1 AND key = $2 FOR UPDATE"
MAKE_IT = "INSERT INTO livingworld.documents (world_id, key, value) VALUES ($1, $2, '100')"
THE_NAME = "SELECT pg_advisory_xact_lock($1)"


def add_and_tell(asked: list[str], letter: str, value: str) -> str:
    """Add a letter to a value, and one to the list of those that were asked for."""
    asked.append(letter)
    return value + letter


async def write_naively(url: str, world: World, letter: str) -> None:
    async with connected(url) as connection:
        where = "WHERE world_id = $1 AND key = 'state'"
        value = await connection.fetchval(f"SELECT value FROM livingworld.documents {where}", world.id)  # noqa: S608
        await connection.execute(
            f"UPDATE livingworld.documents SET value = $2, version = version + 1 {where}",  # noqa: S608
            world.id,
            f'"{value[1:-1]}{letter}"',
        )


async def kept(url: str, world: World) -> list[tuple[Any, ...]]:
    """Return what breaks the promise that each version is kept once, the current one with the current value."""
    return await rows(
        url,
        """
        SELECT d.key, d.version FROM livingworld.documents d WHERE d.world_id = $1 AND (
            d.version <> (SELECT count(*) FROM livingworld.document_versions v
                          WHERE v.world_id = d.world_id AND v.key = d.key)
            OR NOT EXISTS (SELECT FROM livingworld.document_versions v WHERE v.world_id = d.world_id
                           AND v.key = d.key AND v.version = d.version AND v.value IS NOT DISTINCT FROM d.value))
        """,
        world.id,
    )


async def test_of_two_writers_of_one_version_one_wins_and_one_is_told(database_url: str, world: World) -> None:
    await world.documents.compare_and_set("state", "", expected_version=0)
    writers = [world.documents.compare_and_set("state", letter, expected_version=1) for letter in "AB"]
    results = await race(database_url, THE_DOCUMENT, [world.id, "state"], writers, blocked=2)

    assert kinds(results) == ["Document", "VersionConflict"]
    assert {(e.expected, e.actual) for e in results if isinstance(e, VersionConflict)} == {(1, 2)}
    assert await world.documents.read("state") in results
    assert await kept(database_url, world) == []


async def test_writers_that_look_before_they_have_the_lock_lose_letters(database_url: str, world: World) -> None:
    await world.documents.compare_and_set("state", "", expected_version=0)
    writers = [write_naively(database_url, world, letter) for letter in "ABCD"]
    await race(database_url, THE_DOCUMENT, [world.id, "state"], writers, blocked=4)

    stored = await world.documents.read("state")
    assert (len(stored.value), stored.version) == (1, 5)


async def test_a_value_that_came_back_while_a_writer_waited_is_another_version(database_url: str, world: World) -> None:
    await world.documents.compare_and_set("state", "A", expected_version=0)
    there_and_back = "UPDATE livingworld.documents SET version = version + 2 WHERE world_id = $1 AND key = $2"
    writers = [world.documents.compare_and_set("state", "C", expected_version=1)]
    (refused,) = await race(database_url, there_and_back, [world.id, "state"], writers, blocked=1, commit=True)

    assert isinstance(refused, VersionConflict)
    assert (refused.expected, refused.actual) == (1, 3)
    assert (await world.documents.read("state")).value == "A"


@pytest.mark.parametrize("commit", [False, True])
async def test_of_two_creators_one_makes_it(database_url: str, world: World, *, commit: bool) -> None:
    writers = [world.documents.compare_and_set("state", letter, expected_version=0) for letter in "AB"]
    results = await race(database_url, MAKE_IT, [world.id, "state"], writers, blocked=2, commit=commit)

    assert kinds(results) == ["VersionConflict" if commit else "Document", "VersionConflict"]
    assert {(e.expected, e.actual) for e in results if isinstance(e, VersionConflict)} == {(0, 1)}


async def test_updaters_wait_for_each_other_and_each_function_is_asked_once(database_url: str, world: World) -> None:
    await world.documents.compare_and_set("state", "", expected_version=0)
    asked: list[str] = []

    updates = [world.documents.update("state", partial(add_and_tell, asked, letter)) for letter in "ABCDEF"]
    results = await race(database_url, THE_DOCUMENT, [world.id, "state"], updates, blocked=6)

    assert kinds(results) == ["Document"] * 6
    assert sorted(asked) == list("ABCDEF")
    assert (await world.documents.read("state")).value == "".join(asked)
    assert await kept(database_url, world) == []


async def test_updaters_of_a_missing_document_wait_at_its_name(database_url: str, world: World) -> None:
    asked: list[str] = []

    name = lock_key(LockKind.DOCUMENT, world.id, "state")
    updates = [world.documents.update("state", partial(add_and_tell, asked, letter), default="") for letter in "ABCDEF"]
    results = await race(database_url, THE_NAME, [name], updates, blocked=6)

    assert kinds(results) == ["Document"] * 6
    assert sorted(asked) == list("ABCDEF")
    assert (await world.documents.read("state")).value == "".join(asked)


@pytest.mark.parametrize("commit", [False, True])
async def test_an_update_finds_a_document_that_was_made_without_the_lock(
    database_url: str, world: World, *, commit: bool
) -> None:
    updates = [world.documents.update("state", lambda value: value + 1, default=0)]
    (result,) = await race(database_url, MAKE_IT, [world.id, "state"], updates, blocked=1, commit=commit)

    assert isinstance(result, Document)
    assert (result.value, result.version) == ((101, 2) if commit else (1, 1))


async def test_mergers_of_one_base_lose_no_field(database_url: str, world: World) -> None:
    await world.documents.compare_and_set("state", {"gold": 0}, expected_version=0)
    merges = [
        world.documents.merge(
            "state", base_version=1, changes={"gold": number, str(number): number}, strategy="prefer_higher"
        )
        for number in range(1, 7)
    ]
    results = await race(database_url, THE_DOCUMENT, [world.id, "state"], merges, blocked=6)

    assert kinds(results) == ["MergeResult"] * 6
    stored = await world.documents.read("state")
    assert stored.value == {"gold": 6, **{str(number): number for number in range(1, 7)}}
    first, *others = sorted(
        (each for each in results if isinstance(each, MergeResult)), key=lambda r: r.document.version
    )
    assert first.conflicts == ()
    assert [each.conflicts[0].their_version for each in others] == [2, 3, 4, 5, 6]


async def test_a_reader_never_sees_the_value_of_one_version_with_the_number_of_another(
    database_url: str, world: World
) -> None:
    async def write(writer: World, number: int) -> None:
        for _ in range(10):
            if number % 2:
                await writer.documents.update("sum", lambda value: value + 1, default=0)
            else:
                await writer.documents.increment("sum")

    async with same_world(database_url, world.id, pools=2) as worlds:
        writers = [asyncio.create_task(write(worlds[number % 2], number)) for number in range(10)]
        seen = []
        while not all(writer.done() for writer in writers):
            if (document := await world.documents.find("sum")) is not None:
                assert document.value == document.version
                seen.append(document.version)
        await asyncio.gather(*writers)

    assert seen == sorted(seen)
    assert len(set(seen)) > 10
    assert (await world.documents.read("sum")).value == 100
    assert await kept(database_url, world) == []


@pytest.mark.parametrize("exist", [True, False])
async def test_opposite_orders_end_in_a_refusal_and_no_deadlock(
    database_url: str, world: World, *, exist: bool
) -> None:
    if exist:
        await asyncio.gather(world.documents.increment("a"), world.documents.increment("b"))
    meeting = asyncio.Barrier(2)

    async def write(first: str, second: str) -> None:
        async with world.transaction() as tx:
            await tx.documents.increment(first)
            await meeting.wait()
            await tx.documents.increment(second)

    results = await asyncio.gather(write("a", "b"), write("b", "a"), return_exceptions=True)

    assert kinds(results) == ["LockOrderViolation", "NoneType"]
    assert await deadlocks(database_url) == 0


async def test_any_order_is_fine_without_a_wait(world: World) -> None:
    async with world.transaction() as tx:
        for key in "bab":
            await tx.documents.increment(key)
            await tx.documents.update(key, lambda value: value + 1)
            await tx.documents.update(f"{key} too", lambda value: value, default=1)

    assert [document.value for document in (await world.documents.list()).items] == [2, 1, 4, 1]


async def test_what_is_held_out_of_order_is_refused_at_once(database_url: str, world: World) -> None:
    await world.documents.increment("a")
    async with holding(database_url, THE_DOCUMENT, [world.id, "a"]):
        with pytest.raises(LockOrderViolation):
            async with world.transaction() as tx:
                await tx.documents.increment("b")
                await tx.documents.increment("a")
        async with world.transaction() as tx:
            await tx.documents.increment("c")
            await tx.characters.get_or_create("Mara")  # comes before documents, and is free

    assert await world.documents.find("b") is None
    assert await world.characters.find("Mara")
