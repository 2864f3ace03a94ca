"""A deleted document is as one that never was, but for its versions, none of which comes twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

import pytest

from livingworld import ABSENT, Document, World
from livingworld.errors import DocumentNotFound, VersionConflict
from tests.support.patience import patiently

Write = Callable[[World], Awaitable[Document | None]]
#: What makes a missing document, and the value that it then has.
MAKERS: dict[str, tuple[Write, object]] = {
    "set": (lambda world: world.documents.set("lamp", "lit"), "lit"),
    "compare_and_set": (lambda world: world.documents.compare_and_set("lamp", None, expected_version=0), None),
    "update": (lambda world: world.documents.update("lamp", lambda value: value + 1, default=5), 6),
    "increment": (lambda world: world.documents.increment("lamp", 2), 2),
    "increment a field": (lambda world: world.documents.increment("lamp", 2, field="oil"), {"oil": 2}),
    "set_if": (lambda world: world.documents.set_if("lamp", "lit", expected=ABSENT), "lit"),
    "set_if a field": (lambda world: world.documents.set_if("lamp", 1, expected=ABSENT, field="oil"), {"oil": 1}),
}


async def deleted(world: World, value: object) -> None:
    """Make a document and delete it: version 2."""
    await world.documents.set("lamp", value)
    assert await world.documents.delete("lamp") is True


@pytest.mark.parametrize("former", [7, None, {"oil": 9, "on": True}])
@pytest.mark.parametrize("name", MAKERS)
async def test_it_is_made_again_with_the_next_version(world: World, name: str, former: object) -> None:
    make, value = MAKERS[name]
    await deleted(world, former)
    made = await make(world)

    assert made is not None
    assert (made.value, made.version) == (value, 3)
    assert await world.documents.read("lamp") == made
    assert [(each.version, each.value) for each in (await world.documents.history("lamp")).items] == [
        (1, former),
        (3, value),
    ]


async def test_no_call_finds_it(world: World) -> None:
    documents = world.documents
    await deleted(world, {"oil": 1})

    assert await documents.find("lamp") is None
    assert (await documents.list()).items == ()
    assert await documents.set_if("lamp", 1, expected={"oil": 1}) is None
    assert await documents.set_if("lamp", 2, expected=1, field="oil") is None
    with pytest.raises(DocumentNotFound):
        await documents.read("lamp")
    with pytest.raises(DocumentNotFound):
        await documents.update("lamp", lambda value: value)
    with pytest.raises(DocumentNotFound):
        await documents.merge("lamp", base_version=1, changes={"oil": 2}, strategy="manual")
    for version in (1, 2):
        with pytest.raises(VersionConflict) as refused:
            await documents.compare_and_set("lamp", 1, expected_version=version)
        assert (refused.value.expected, refused.value.actual) == (version, 0)
    assert (await documents.set("lamp", 1)).version == 3


async def test_what_was_in_it_stays_readable(world: World) -> None:
    await deleted(world, {"oil": 1})

    assert (await world.documents.at("lamp", 1)).value == {"oil": 1}
    assert [each.version for each in (await world.documents.history("lamp")).items] == [1]
    with pytest.raises(DocumentNotFound):
        await world.documents.at("lamp", 2)


async def test_a_merge_may_begin_before_a_deletion_and_not_with_it(world: World) -> None:
    await deleted(world, {"oil": 1})
    await world.documents.set("lamp", {"oil": 5})
    merged = await world.documents.merge("lamp", base_version=1, changes={"wick": 1}, strategy="manual")

    assert (merged.document.value, merged.document.version) == ({"oil": 5, "wick": 1}, 4)
    with pytest.raises(DocumentNotFound):
        await world.documents.merge("lamp", base_version=2, changes={"wick": 2}, strategy="manual")


async def test_it_says_whether_it_was_there_and_compares_the_version(world: World) -> None:
    assert await world.documents.delete("lamp") is False
    with pytest.raises(VersionConflict) as refused:
        await world.documents.delete("lamp", expected_version=1)
    assert (refused.value.expected, refused.value.actual) == (1, 0)

    await world.documents.increment("lamp")
    await world.documents.increment("lamp")
    with pytest.raises(VersionConflict) as refused:
        await world.documents.delete("lamp", expected_version=1)
    assert (refused.value.expected, refused.value.actual) == (1, 2)
    assert await world.documents.delete("lamp", expected_version=2) is True
    assert await world.documents.delete("lamp") is False
    with pytest.raises(VersionConflict) as refused:
        await world.documents.delete("lamp", expected_version=3)
    assert (refused.value.expected, refused.value.actual) == (3, 0)
    assert (await world.documents.increment("lamp")).version == 4


async def test_a_transaction_takes_a_deletion_back(world: World) -> None:
    before = await world.documents.increment("lamp")
    with pytest.raises(ZeroDivisionError):
        async with world.transaction() as tx:
            assert await tx.documents.delete("lamp") is True
            assert await tx.documents.find("lamp") is None
            raise ZeroDivisionError

    assert await world.documents.read("lamp") == before


async def test_a_watch_waits_over_a_deletion_and_sees_no_version_twice(world: World) -> None:
    await world.documents.set("lamp", "lit")
    documents = cast("AsyncGenerator[Document, Any]", world.documents.watch("lamp"))
    async with aclosing(documents), patiently():
        assert (await anext(documents)).version == 1
        next_one = asyncio.create_task(anext(documents))
        await world.documents.delete("lamp")
        await world.documents.set("lamp", "lit")
        found = await next_one

    assert (found.value, found.version) == ("lit", 3)
