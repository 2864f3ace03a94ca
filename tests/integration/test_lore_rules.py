"""What calls an entry: whole words or parts, regular expressions, secondary keys, depth, and other entries."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from livingworld import NewLoreEntry, World
from livingworld.errors import InvalidInput, MissingPackage
from livingworld.story.lore import regular_expressions
from livingworld.story.lore.matching import EntryKeys

CASES: dict[str, tuple[dict[str, Any], str | list[str], bool]] = {
    "a whole word": ({"keys": ["light"]}, "a lighthouse", False),
    "a part of a word": ({"keys": ["light"], "whole_words": False}, "a Lighthouse", True),
    "a part in its case": ({"keys": ["light"], "whole_words": False, "case_sensitive": True}, "a Lighthouse", False),
    "a whole word after a part": ({"keys": ["light"]}, "a lighthouse, a light", True),
    "an expression": ({"keys": [r"b[eé]lls?\b"], "regex": True}, "Two BÉLLS ring", True),
    "an expression in its case": ({"keys": ["bell"], "regex": True, "case_sensitive": True}, "BELL", False),
    "an expression that would take for ever": ({"keys": ["(a+)+$"], "regex": True}, "a" * 5_000 + "!", False),
    "and any": ({"keys": ["bell"], "secondary_keys": ["tide", "fog"]}, "bell in fog", True),
    "and any, none": ({"keys": ["bell"], "secondary_keys": ["tide", "fog"]}, "bell", False),
    "only secondary": ({"keys": ["bell"], "secondary_keys": ["fog"]}, "fog", False),
    "and all": ({"keys": ["bell"], "secondary_keys": ["tide", "fog"], "secondary_logic": "and_all"}, "bell fog", False),
    "and all, all": (
        {"keys": ["bell"], "secondary_keys": ["tide", "fog"], "secondary_logic": "and_all"}, "bell fog tide", True
    ),
    "not any": ({"keys": ["bell"], "secondary_keys": ["tide", "fog"], "secondary_logic": "not_any"}, "bell fog", False),
    "not any, none": ({"keys": ["bell"], "secondary_keys": ["tide"], "secondary_logic": "not_any"}, "bell", True),
    "not all": ({"keys": ["bell"], "secondary_keys": ["tide", "fog"], "secondary_logic": "not_all"}, "bell fog", True),
    "not all, all": (
        {"keys": ["bell"], "secondary_keys": ["tide", "fog"], "secondary_logic": "not_all"}, "bell fog tide", False
    ),
    "secondary expressions": (
        {"keys": ["bell"], "secondary_keys": ["t.de"], "regex": True}, "a bell at high tide", True
    ),
    "constant": ({"constant": True}, "nothing", True),
    "the last text": ({"keys": ["bell"], "scan_depth": 1}, ["the bell", "the fog"], False),
    "the last two texts": ({"keys": ["bell"], "scan_depth": 2}, ["the bell", "the fog"], True),
    "all texts": ({"keys": ["bell"]}, ["the bell", "the fog", "the tide"], True),
    "an expression in the last text": ({"keys": ["b.ll"], "regex": True, "scan_depth": 1}, ["bell", "fog"], False),
    "keys in several texts": ({"keys": ["bell"], "secondary_keys": ["fog"]}, ["bell", "fog"], True),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_an_entry_is_called_as_it_says(world: World, name: str) -> None:
    fields, text, called = CASES[name]
    entry = await world.lore.add(NewLoreEntry("x", **fields))

    assert [match.entry for match in await world.lore.match(text)] == [entry] * called


async def test_contents_call_further_entries_as_often_as_is_said(world: World) -> None:
    bell, tide, fog, _, _ = await world.lore.add_many(
        [
            NewLoreEntry("The bell warns of the tide.", ["bell"]),
            NewLoreEntry("The tide brings fog.", ["tide"], title="tide"),
            NewLoreEntry("Fog hides the bell.", ["fog"], prevent_recursion=True),
            NewLoreEntry("Alone.", ["hides"]),
            NewLoreEntry("Never by others.", ["tide"], exclude_recursion=True),
        ]
    )

    found = [
        [(match.entry.id, match.depth) for match in await world.lore.match("a bell", recursion=times)]
        for times in (0, 1, 2, 9)
    ]
    assert found[0] == [(bell.id, 0)]
    assert found[1] == [(bell.id, 0), (tide.id, 1)]
    assert found[2] == found[3] == [(bell.id, 0), (tide.id, 1), (fog.id, 2)]
    assert len(await world.lore.match("a bell", recursion=9, limit=2)) == 2


async def test_an_edit_changes_what_calls_it_and_a_restored_version_too(world: World) -> None:
    entry = await world.lore.add(NewLoreEntry("x", ["light"]))
    changed = await world.lore.update(entry.id, expected_version=1, whole_words=False, secondary_keys=["fog"])
    assert (changed.whole_words, changed.secondary_keys) == (False, ("fog",))
    assert len(await world.lore.match("a lighthouse in the fog")) == 1
    restored = await world.lore.restore(entry.id, 1, expected_version=2)
    assert (restored.whole_words, restored.secondary_keys) == (True, ())
    assert await world.lore.match("a lighthouse in the fog") == ()


@pytest.mark.parametrize("key", ["(?=tide)", r"(a)\1", "(", "(x{1000}){1000}"])
async def test_what_cannot_be_searched_in_linear_time_is_refused_by_name(world: World, key: str) -> None:
    with pytest.raises(InvalidInput, match=r"keys\[1\]: is no regular expression that is searched in linear time"):
        NewLoreEntry("x", ["tide", key], regex=True)
    entry = await world.lore.add(NewLoreEntry("x", ["tide", key]))
    with pytest.raises(InvalidInput, match=r"keys\[1\]"):
        await world.lore.update(entry.id, expected_version=1, regex=True)


@pytest.mark.parametrize(
    ("field", "bad"),
    [("secondary_logic", "or"), ("scan_depth", 0), ("whole_words", 1), ("secondary_keys", [""]), ("constant", None)],
)
def test_a_rule_that_is_none_is_refused_by_name(field: str, bad: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        NewLoreEntry("x", **{field: bad})  # type: ignore[arg-type]
    assert refused.value.field.startswith(field)


@pytest.mark.parametrize("times", [-1, 11, True])
async def test_a_recursion_without_an_end_is_refused(world: World, times: int) -> None:
    with pytest.raises(InvalidInput, match="recursion"):
        await world.lore.match("x", recursion=times)


def test_without_the_extra_an_expression_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    regular_expressions._engine.cache_clear()
    monkeypatch.setitem(sys.modules, "re2", None)
    with pytest.raises(MissingPackage, match=r"livingworld\[lore\]"):
        NewLoreEntry("x", ["tide"], regex=True)
    regular_expressions._engine.cache_clear()


def test_the_longest_of_the_own_keys_is_told() -> None:
    from uuid import UUID  # noqa: PLC0415

    entry = EntryKeys(UUID(int=1), "x", 0, ["a", "bb", "cc"], False, secondary_keys=["dddd"])  # noqa: FBT003
    assert entry.called_by({0, 2, 1, 3}) == 1
