from __future__ import annotations

import asyncio
import pickle
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livingworld import ABSENT, LivingWorld, World
from livingworld.coordination.documents.reading import end_of_prefix
from livingworld.errors import DocumentNotFound, NotCountable, NotMergeable, VersionConflict, WorldNotFound

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(-1e15, 1e15) | st.floats(min_value=1e20, allow_infinity=False),
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=5),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)


def replaced_by(value: object, _: object) -> object:
    return value


@given(value=VALUES)
@SHARED
async def test_what_was_set_is_read_and_may_be_set_again(world: World, value: object) -> None:
    stored = await world.documents.find("weather")
    written = await world.documents.compare_and_set(
        "weather", value, expected_version=0 if stored is None else stored.version
    )
    again = await world.documents.update("weather", lambda read: read)

    assert written.value == value
    assert again.value == value
    assert await world.documents.read("weather") == again


async def test_a_document_is_a_snapshot_that_nothing_changes(world: World) -> None:
    document = await world.documents.compare_and_set("map", {"inn": ["Mara"]}, expected_version=0)
    with pytest.raises(TypeError, match="read-only"):
        document.value["inn"].append("Tom")
    await world.documents.compare_and_set("map", {}, expected_version=1)

    assert document.value == {"inn": ["Mara"]}
    assert pickle.loads(pickle.dumps(document)) == document  # noqa: S301 - our own
    assert hash(document) == hash(await world.documents.at("map", 1))
    assert (document.version, document.created_at) == (1, document.updated_at)


async def test_a_value_is_set_whatever_stands_there(world: World) -> None:
    first = await world.documents.set("map", {"inn": 1})
    second = await world.documents.set("map", None)
    assert (first.version, second.version, second.value) == (1, 2, None)
    done = await asyncio.gather(*(world.documents.set("map", number) for number in range(8)))
    assert sorted(each.version for each in done) == list(range(3, 11))
    assert (await world.documents.read("map")).value == max(done, key=lambda each: each.version).value
    assert [each.value for each in (await world.documents.history("map")).items][:2] == [{"inn": 1}, None]


async def test_nothing_there_is_named(world: World) -> None:
    assert await world.documents.find("map") is None
    assert (await world.documents.list()).items == ()
    assert (await world.documents.history("map")).items == ()
    assert await world.documents.set_if("map", 1, expected=2) is None
    with pytest.raises(DocumentNotFound):
        await world.documents.read("map")
    with pytest.raises(DocumentNotFound):
        await world.documents.at("map", 1)
    with pytest.raises(DocumentNotFound):
        await world.documents.update("map", lambda value: value)
    with pytest.raises(DocumentNotFound):
        await world.documents.merge("map", base_version=1, changes={"a": 1}, strategy="manual")
    with pytest.raises(VersionConflict) as refused:
        await world.documents.compare_and_set("map", 1, expected_version=3)
    assert (refused.value.expected, refused.value.actual) == (3, 0)


async def test_every_version_is_kept_by_every_kind_of_write(world: World) -> None:
    documents = world.documents
    await documents.increment("state", 2, field="gold")
    await documents.set_if("state", "wary", expected=ABSENT, field="mood")
    await documents.set_if("state", None, expected="wary", field="mood")
    await documents.update("state", lambda value: {**value, "gold": 7})
    await documents.merge("state", base_version=4, changes={"mood": ABSENT}, strategy="manual")
    await documents.set_if("state", 5, expected={"gold": 7})
    await documents.increment("state", -1)
    last = await documents.compare_and_set("state", "end", expected_version=7)

    first = await documents.history("state", limit=5)
    rest = await documents.history("state", after=first.next, limit=5)
    assert [(old.version, old.value) for old in first.items + rest.items] == [
        (1, {"gold": 2}),
        (2, {"gold": 2, "mood": "wary"}),
        (3, {"gold": 2, "mood": None}),
        (4, {"gold": 7, "mood": None}),
        (5, {"gold": 7}),
        (6, 5),
        (7, 4),
        (8, "end"),
    ]
    assert rest.next is None
    assert rest.items[-1] == last == await documents.read("state")
    assert await documents.at("state", 4) == first.items[3]


async def test_a_value_that_came_back_is_another_version(world: World) -> None:
    first = await world.documents.compare_and_set("lamp", "A", expected_version=0)
    await world.documents.compare_and_set("lamp", "B", expected_version=1)
    await world.documents.compare_and_set("lamp", "A", expected_version=2)

    with pytest.raises(VersionConflict) as refused:
        await world.documents.compare_and_set("lamp", "C", expected_version=first.version)

    assert (refused.value.expected, refused.value.actual) == (1, 3)
    assert (await world.documents.read("lamp")).value == "A"


async def test_lists_are_in_order_of_keys_and_by_prefix(world: World) -> None:
    keys = ["A", "a%", "a_b", "ab", "a\U0010ffff", "b", "\ud7ff", "\ud7ffx", "\ue000", "\U0010ffff"]
    for key in keys:
        await world.documents.increment(key)

    found, after = [], None
    while True:
        page = await world.documents.list(after=after, limit=3)
        found += [document.key for document in page.items]
        if (after := page.next) is None:
            break
    assert found == sorted(keys)
    for prefix in ("", "a", "a_", "a\U0010ffff", "\ud7ff", "\U0010ffff", "c"):
        shown = [document.key for document in (await world.documents.list(prefix=prefix)).items]
        assert shown == sorted(key for key in keys if key.startswith(prefix)), prefix
    assert end_of_prefix("\ud7ff") == "\ue000"


async def test_counting_is_exact_and_decimal(world: World) -> None:
    for _ in range(10):
        await world.documents.increment("sum", 0.1)
    await world.documents.increment("large", 2**63 - 2)

    assert (await world.documents.read("sum")).value == 1.0
    assert (await world.documents.increment("large")).value == 2**63 - 1


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("text", None),
        (None, None),
        (True, None),
        ({"gold": 1}, None),
        ([1], None),
        (2**63 - 1, None),
        ({"gold": "1"}, "gold"),
        ({"gold": None}, "gold"),
        ({"gold": 2**63 - 1}, "gold"),
        ([1], "gold"),
        (7, "gold"),
        ("gold", "gold"),
    ],
)
async def test_what_cannot_be_counted_stays_as_it_is(world: World, value: object, field: str | None) -> None:
    before = await world.documents.compare_and_set("purse", value, expected_version=0)

    with pytest.raises(NotCountable):
        await world.documents.increment("purse", field=field)

    assert await world.documents.read("purse") == before
    assert len((await world.documents.history("purse")).items) == 1


async def test_a_flag_is_set_where_the_expected_value_stands(world: World) -> None:
    documents = world.documents
    assert await documents.set_if("door", value=True, expected=False) is None
    assert await documents.set_if("door", None, expected=ABSENT) is not None
    assert await documents.set_if("door", 0, expected=ABSENT) is None
    assert await documents.set_if("door", value=False, expected=0) is None
    assert await documents.set_if("door", {"open": 1}, expected=None) is not None
    assert await documents.set_if("door", {}, expected=None) is None
    assert await documents.set_if("door", 2, expected=True, field="open") is None
    assert await documents.set_if("door", 2, expected=1.0, field="open") is not None
    assert await documents.set_if("door", 3, expected=ABSENT, field="open") is None
    assert await documents.set_if("door", 3, expected=None, field="lock") is None

    assert (await documents.read("door")).value == {"open": 2}
    assert (await documents.read("door")).version == 3


async def test_a_flag_of_what_is_no_object_is_not_set(world: World) -> None:
    for value in ("open", ["open"], 1, None):
        await world.documents.update("door", partial(replaced_by, value), default=None)
        assert await world.documents.set_if("door", 2, expected=ABSENT, field="open") is None
        assert await world.documents.set_if("door", 2, expected="open", field="open") is None
        assert (await world.documents.read("door")).value == value


async def test_a_function_that_raises_or_returns_no_json_leaves_nothing(world: World) -> None:
    before = await world.documents.increment("sum")

    def fail(_: object) -> object:
        raise ZeroDivisionError

    for key in ("sum", "missing"):
        with pytest.raises(ZeroDivisionError):
            await world.documents.update(key, fail, default=0)
        with pytest.raises(TypeError):
            await world.documents.update(key, lambda _: {1}, default=0)

    assert (await world.documents.list()).items == (before,)


async def test_a_merge_takes_both_sides_and_tells_what_they_differ_on(world: World) -> None:
    documents = world.documents
    await documents.compare_and_set("state", {"gold": 1, "mood": "calm", "old": 1}, expected_version=0)
    await documents.compare_and_set("state", {"gold": 9, "mood": "wary", "old": 1}, expected_version=1)
    result = await documents.merge(
        "state",
        base_version=1,
        changes={"gold": 5, "mood": "glad", "old": ABSENT, "new": None},
        strategy={"gold": "prefer_higher"},
    )

    assert result.document.value == {"gold": 9, "mood": "wary", "new": None}
    assert result.document == await documents.read("state")
    assert [(each.field, each.ours, each.theirs, each.resolved) for each in result.conflicts] == [
        ("gold", 5, 9, "theirs"),
        ("mood", "glad", "wary", None),
    ]
    assert [each.field for each in result.unresolved] == ["mood"]


async def test_a_merge_that_changes_nothing_writes_nothing(world: World) -> None:
    await world.documents.compare_and_set("state", {"a": 1}, expected_version=0)
    second = await world.documents.compare_and_set("state", {"a": 2}, expected_version=1)
    result = await world.documents.merge("state", base_version=1, changes={"a": 3}, strategy="manual")

    assert result.document == second
    assert (result.conflicts[0].base_version, result.conflicts[0].their_version) == (1, 2)
    assert await world.documents.read("state") == second


async def test_only_objects_and_versions_that_were_are_merged(world: World) -> None:
    await world.documents.compare_and_set("state", [1], expected_version=0)
    with pytest.raises(NotMergeable) as refused:
        await world.documents.merge("state", base_version=1, changes={"a": 1}, strategy="manual")
    assert refused.value.version == 1
    with pytest.raises(DocumentNotFound):
        await world.documents.merge("state", base_version=2, changes={"a": 1}, strategy="manual")


async def test_a_transaction_takes_its_documents_back(world: World) -> None:
    with pytest.raises(ZeroDivisionError):
        async with world.transaction() as tx:
            await tx.documents.increment("sum")
            assert (await tx.documents.update("sum", lambda value: value + 1)).version == 2
            raise ZeroDivisionError

    assert await world.documents.find("sum") is None


async def test_no_world_sees_the_document_of_another(livingworld: LivingWorld, world: World) -> None:
    other = await livingworld.worlds.create(world.record.name)
    await other.documents.compare_and_set("state", {"a": 1}, expected_version=0)
    calls: list[Any] = [
        world.documents.find("state"),
        world.documents.set_if("state", 1, expected={"a": 1}),
        world.documents.set_if("state", 1, expected=1, field="a"),
    ]

    assert [await call for call in calls] == [None, None, None]
    assert (await world.documents.list()).items == (await world.documents.history("state")).items == ()
    assert (await world.documents.increment("state")).version == 1
    assert (await other.documents.read("state")).value == {"a": 1}


async def test_documents_go_with_their_world_and_none_is_made_without(livingworld: LivingWorld, world: World) -> None:
    await world.documents.increment("sum")
    await livingworld.worlds.purge(world.id)

    assert await world.documents.find("sum") is None
    for call in (
        world.documents.increment("sum"),
        world.documents.compare_and_set("sum", 1, expected_version=0),
        world.documents.update("sum", lambda value: value, default=0),
    ):
        with pytest.raises(WorldNotFound):
            await call
