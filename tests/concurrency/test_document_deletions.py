"""A document is deleted while others write it: each judges what it finds under the lock."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from livingworld import ABSENT, Document, World
from livingworld.errors import DocumentNotFound, LockOrderViolation, VersionConflict
from livingworld.testing.staged_races import connected, holding
from tests.concurrency.test_document_races import THE_DOCUMENT, kept
from tests.support.patience import patiently
from tests.support.staging import kinds, race

#: A deletion by hand that others wait for; the version of the document is 2 then.
DELETE_IT = """
    WITH deleted AS (
        UPDATE livingworld.documents SET value = NULL, version = 2 WHERE world_id = $1 AND key = $2 RETURNING *
    )
    INSERT INTO livingworld.document_versions (world_id, key, version, value)
    SELECT world_id, key, version, value FROM deleted
"""
CHANGE_IT = DELETE_IT.replace("value = NULL", "value = '9'")

#: What waits for a deletion, and what it then has: a document's value and version, or the name of its error.
WAITERS: dict[str, tuple[Callable[[World], Coroutine[Any, Any, object]], object]] = {
    "set": (lambda w: w.documents.set("state", 5), (5, 3)),
    "update": (lambda w: w.documents.update("state", lambda value: value + 1), "DocumentNotFound"),
    "update or make": (lambda w: w.documents.update("state", lambda value: value + 1, default=100), (101, 3)),
    "increment": (lambda w: w.documents.increment("state"), (1, 3)),
    "set_if": (lambda w: w.documents.set_if("state", 5, expected=0), "NoneType"),
    "set_if nothing": (lambda w: w.documents.set_if("state", 5, expected=ABSENT), (5, 3)),
    "compare_and_set": (lambda w: w.documents.compare_and_set("state", 5, expected_version=1), "VersionConflict"),
    "compare_and_set, new": (lambda w: w.documents.compare_and_set("state", 5, expected_version=0), (5, 3)),
    "delete": (lambda w: w.documents.delete("state"), "bool"),
    "delete the version": (lambda w: w.documents.delete("state", expected_version=1), "VersionConflict"),
    "merge": (
        lambda w: w.documents.merge("state", base_version=1, changes={"a": 1}, strategy="manual"), "DocumentNotFound"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WAITERS)
async def test_a_writer_that_waited_for_a_deletion_finds_nothing(database_url: str, world: World, name: str) -> None:
    await world.documents.set("state", 0)
    write, expected = WAITERS[name]
    (result,) = await race(database_url, DELETE_IT, [world.id, "state"], [write(world)], blocked=1, commit=True)

    if isinstance(expected, tuple):
        assert isinstance(result, Document)
        assert (result.value, result.version) == expected
    else:
        assert kinds([result]) == [expected]
        assert result in (None, False) or isinstance(result, DocumentNotFound | VersionConflict)
        assert await world.documents.find("state") is None
    assert await kept(database_url, world) == []


@pytest.mark.parametrize("expected_version", [None, 1])
async def test_a_deletion_that_waited_for_a_write_judges_what_was_written(
    database_url: str, world: World, expected_version: int | None
) -> None:
    await world.documents.set("state", 0)
    deletions = [world.documents.delete("state", expected_version=expected_version)]
    (result,) = await race(database_url, CHANGE_IT, [world.id, "state"], deletions, blocked=1, commit=True)

    if expected_version is None:
        assert result is True
        assert (await world.documents.set("state", 0)).version == 4
    else:
        assert isinstance(result, VersionConflict)
        assert (result.expected, result.actual) == (1, 2)
        assert (await world.documents.read("state")).value == 9
    assert await kept(database_url, world) == []


async def test_a_deletion_and_updates_come_one_after_the_other(database_url: str, world: World) -> None:
    await world.documents.set("state", 0)
    contenders: list[Coroutine[Any, Any, object]] = [
        *(world.documents.update("state", lambda value: value + 1) for _ in range(3)),
        *(world.documents.delete("state") for _ in range(2)),
    ]
    results = await race(database_url, THE_DOCUMENT, [world.id, "state"], contenders, blocked=5)

    assert [each for each in results if isinstance(each, bool)].count(True) == 1
    written = [each.version for each in results if isinstance(each, Document)]
    assert sorted(written) == list(range(2, 2 + len(written)))
    assert kinds(results).count("DocumentNotFound") == 3 - len(written)
    assert await world.documents.find("state") is None
    assert (await world.documents.set("state", 0)).version == 3 + len(written)
    assert await kept(database_url, world) == []


async def test_a_deletion_of_the_row_brings_a_version_back(database_url: str, world: World) -> None:
    await world.documents.set("state", "first")
    async with connected(database_url) as connection:
        await connection.execute("DELETE FROM livingworld.documents WHERE world_id = $1", world.id)
    await world.documents.set("state", "second")

    written = await world.documents.compare_and_set("state", "decided on the first", expected_version=1)
    assert written.version == 2  # the decision was made on another value, and nothing says so


async def test_what_a_call_locked_without_writing_counts_as_held(database_url: str, world: World) -> None:
    await world.documents.increment("a")
    await world.documents.set("b", {"on": 1})
    async with holding(database_url, THE_DOCUMENT, [world.id, "a"]), patiently():
        for field in (None, "on"):
            with pytest.raises(LockOrderViolation):
                async with world.transaction() as tx:
                    assert await tx.documents.set_if("b", 1, expected=ABSENT, field=field) is None
                    await tx.documents.increment("a")
