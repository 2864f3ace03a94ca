"""Counters and flags that many count and set at once: each is one statement, judged on the row under its lock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from livingworld import ABSENT, Document, LivingWorld, World
from livingworld.errors import NotCountable
from livingworld.testing.staged_races import connected, until_blocked
from tests.concurrency.test_document_races import MAKE_IT, THE_DOCUMENT, kept
from tests.support.staging import deadlocks, elsewhere, kinds, race, same_world

TASKS = 50


async def count_naively(url: str, world: World) -> None:
    async with connected(url) as connection:
        key = (world.id, "sum")
        value = await connection.fetchval(
            "SELECT value::int FROM livingworld.documents WHERE world_id = $1 AND key = $2", *key
        )
        await connection.execute(
            "UPDATE livingworld.documents SET value = to_jsonb($3::int) WHERE world_id = $1 AND key = $2",
            *key,
            value + 1,
        )


@pytest.mark.rotates(parts=2)
@pytest.mark.parametrize("field", [None, "gold"])
@pytest.mark.parametrize("exists", [True, False])
async def test_fifty_increments_are_fifty(database_url: str, world: World, *, exists: bool, field: str | None) -> None:
    if exists:
        await world.documents.increment("sum", 0, field=field)
    behind = THE_DOCUMENT if exists else MAKE_IT
    async with same_world(database_url, world.id, pools=5) as worlds:
        increments = [worlds[number % 5].documents.increment("sum", field=field) for number in range(TASKS)]
        results = await race(database_url, behind, [world.id, "sum"], increments, blocked=TASKS)

    assert kinds(results) == ["Document"] * TASKS
    stored = await world.documents.read("sum")
    assert (stored.value if field is None else stored.value[field]) == TASKS
    assert sorted(result.version for result in results if isinstance(result, Document)) == list(
        range(1 + exists, TASKS + exists + 1)
    )
    assert await kept(database_url, world) == []


async def test_increments_that_read_first_lose_counts(database_url: str, world: World) -> None:
    await world.documents.increment("sum", 0)
    counts = [count_naively(database_url, world) for _ in range(10)]
    await race(database_url, THE_DOCUMENT, [world.id, "sum"], counts, blocked=10)

    assert (await world.documents.read("sum")).value == 1


async def test_an_increment_that_waited_is_judged_on_what_it_finds(database_url: str, world: World) -> None:
    await world.documents.increment("sum")
    to_text = "UPDATE livingworld.documents SET value = '\"gone\"' WHERE world_id = $1 AND key = $2"
    counts = [world.documents.increment("sum"), world.documents.increment("sum", field="gold")]
    results = await race(database_url, to_text, [world.id, "sum"], counts, blocked=2, commit=True)

    assert kinds(results) == [NotCountable.__name__] * 2
    assert ((await world.documents.read("sum")).value, (await world.documents.read("sum")).version) == ("gone", 1)


@pytest.mark.parametrize("field", [None, "open"])
async def test_of_many_that_expect_one_value_one_sets_it(database_url: str, world: World, field: str | None) -> None:
    await world.documents.set_if("door", 0, expected=ABSENT, field=field)
    sets = [world.documents.set_if("door", number, expected=0, field=field) for number in range(1, 9)]
    results = await race(database_url, THE_DOCUMENT, [world.id, "door"], sets, blocked=8)

    assert kinds(results) == ["Document"] + ["NoneType"] * 7
    assert await world.documents.read("door") in results


@pytest.mark.parametrize("field", [None, "open"])
async def test_of_many_that_expect_nothing_one_makes_it(database_url: str, world: World, field: str | None) -> None:
    sets = [world.documents.set_if("door", number, expected=ABSENT, field=field) for number in range(1, 9)]
    results = await race(database_url, MAKE_IT, [world.id, "door"], sets, blocked=8)

    assert kinds(results) == ["Document"] + ["NoneType"] * 7
    assert (await world.documents.read("door")).version == 1


async def test_a_purge_lets_a_writer_finish_who_has_a_document_and_makes_another(
    database_url: str, livingworld: LivingWorld, world: World
) -> None:
    await world.documents.increment("a")
    async with connected(database_url) as observer, elsewhere(world.transaction()) as tx:
        await tx.documents.increment("a")
        transaction: Any = tx.documents._unit
        pid = await transaction.scalar(text("SELECT pg_backend_pid()"))
        purge = asyncio.create_task(livingworld.worlds.purge(world.id))
        await until_blocked(observer, by=pid)
        await tx.documents.increment("b")
    await purge

    assert (await world.documents.list()).items == ()
    assert await deadlocks(database_url) == 0
