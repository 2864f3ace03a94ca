"""Lorebooks of other programs become entries that match as they did there, and say what does not."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from livingworld import NewLoreEntry, read_lorebook
from livingworld.errors import InvalidInput
from livingworld.story.lore.matching import EntryKeys, KeyIndex, ScannedTexts

pytestmark = pytest.mark.any_server


def read(**entry: object) -> NewLoreEntry:
    (made,) = read_lorebook({"entries": [{"content": "text", **entry}]}).entries
    return made


def unsupported(**entry: object) -> list[str]:
    return [rule.field for rule in read_lorebook({"entries": [{"content": "text", **entry}]}).unsupported]


CARD_ENTRY = {
    "keys": ["bell", " "],
    "content": "It rings.",
    "name": "The\nbell",
    "insertion_order": 7,
    "enabled": False,
    "selective": True,
    "secondary_keys": ["tide"],
    "case_sensitive": True,
    "extensions": {"selectiveLogic": 3, "match_whole_words": True, "exclude_recursion": True, "scan_depth": 4},
}


def test_the_fields_of_a_card_become_fields_of_the_entry() -> None:
    book = read_lorebook({"name": "Harbour", "recursive_scanning": True, "entries": [CARD_ENTRY]}, book="sea")
    secondary: dict[str, Any] = {"secondary_keys": ["tide"], "secondary_logic": "and_all"}
    place: dict[str, Any] = {"book": "sea", "title": "The bell", "position": 7, "enabled": False}
    rules: dict[str, Any] = {"case_sensitive": True, "whole_words": True, "exclude_recursion": True, "scan_depth": 4}

    assert (book.name, book.recursive, book.unsupported) == ("Harbour", True, ())
    assert book.entries == (NewLoreEntry("It rings.", ["bell"], **place, **secondary, **rules, raw=CARD_ENTRY),)


def test_world_info_is_an_object_of_entries_with_names_of_its_own() -> None:
    entry = {
        "key": ["fog"],
        "keysecondary": ["night"],
        "selective": False,
        "comment": "Fog",
        "content": "It comes from the sea.",
        "order": 3,
        "disable": True,
        "preventRecursion": True,
        "constant": True,
        "scanDepth": None,
        "probability": 40,
        "useProbability": False,
    }
    book = read_lorebook({"entries": {"0": entry}})
    (made,) = book.entries

    assert (made.keys, made.secondary_keys, made.title, made.position) == (("fog",), (), "Fog", 3)
    assert (made.enabled, made.prevent_recursion, made.constant, made.scan_depth) == (False, True, True, None)
    assert (made.whole_words, made.case_sensitive, book.unsupported) == (False, False, ())


@pytest.mark.parametrize(("number", "logic"), [*enumerate(["and_any", "not_all", "not_any", "and_all"])])
def test_the_logic_of_secondary_keys_is_a_number_there(number: int, logic: str) -> None:
    assert read(extensions={"selectiveLogic": number}).secondary_logic == logic


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"probability": 40}, "probability"),
        ({"extensions": {"probability": 0, "useProbability": True}}, "probability"),
        ({"group": "weather"}, "group"),
        ({"sticky": 3}, "sticky"),
        ({"extensions": {"cooldown": 2}}, "cooldown"),
        ({"delay": 1}, "delay"),
        ({"delayUntilRecursion": True}, "delayUntilRecursion"),
        ({"vectorized": True}, "vectorized"),
        ({"characterFilter": {"names": ["Mara"]}}, "characterFilter"),
        ({"content": "@@depth 4\nIt rings."}, "content"),
    ],
)
def test_a_rule_that_is_not_applied_is_said_and_kept(entry: dict[str, Any], field: str) -> None:
    assert unsupported(**entry) == [field]
    assert read(**entry).raw == {"content": "text", **entry}
    assert read(**entry).enabled


@pytest.mark.parametrize(
    "entry",
    [{"probability": 100}, {"group": ""}, {"sticky": 0}, {"cooldown": None}, {"delay": 0}, {"vectorized": False}],
)
def test_a_rule_that_asks_for_nothing_is_not_said(entry: dict[str, Any]) -> None:
    assert unsupported(**entry) == []


@pytest.mark.parametrize(
    ("entry", "called", "not_called"),
    [
        ({"keys": ["/li+ght/i", "a.b"]}, ["LIIIGHT", "xA.Bx"], ["aXb"]),
        (
            {"keys": ["/light/", "Sea"], "match_whole_words": True},
            ["daylight", "the sea!"],
            ["LIGHT", "seas", "übersea"],
        ),
        ({"keys": ["/light/", "Sea"], "case_sensitive": True}, ["Seal"], ["seal"]),
        ({"keys": ["b(e|a)ll$"], "use_regex": True}, ["the ball"], ["ball game", "the BALL"]),
        ({"keys": ["fog"], "case_sensitive": True}, ["foggy"], ["Fog"]),
    ],
)
def test_keys_match_as_they_are_written(entry: dict[str, Any], called: list[str], not_called: list[str]) -> None:
    pytest.importorskip("re2")
    made = read(**entry)
    rules: dict[str, Any] = {name: getattr(made, name) for name in ("keys", "case_sensitive", "whole_words", "regex")}
    index = KeyIndex([EntryKeys(UUID(int=1), made.book, made.position, **rules)])

    assert [text for text in (*called, *not_called) if index.match(ScannedTexts([text]), None, 1)] == called


def test_a_key_that_re2_cannot_search_leaves_the_entry_disabled_and_says_why() -> None:
    pytest.importorskip("re2")
    book = read_lorebook({"entries": [{"content": "text", "keys": ["/(?<=a)b/"]}]})

    assert (book.entries[0].enabled, book.entries[0].keys) == (False, ())
    assert book.entries[0].raw == {"content": "text", "keys": ["/(?<=a)b/"]}
    assert [rule.field for rule in book.unsupported] == ["keys"]


@pytest.mark.parametrize(
    ("lorebook", "field"),
    [
        ([], "lorebook"),
        ({}, "lorebook.entries"),
        ({"entries": "x"}, "lorebook.entries"),
        ({"entries": [1]}, "lorebook.entries[0]"),
        ({"entries": [{}, {"content": 1}]}, "lorebook.entries[1].content"),
        ({"entries": [{"keys": [1]}]}, "lorebook.entries[0].keys[0]"),
        ({"entries": [{"enabled": "yes"}]}, "lorebook.entries[0].enabled"),
        ({"entries": [{"insertion_order": "1"}]}, "lorebook.entries[0].position"),
        ({"entries": [{"extensions": {"selectiveLogic": 4}}]}, "lorebook.entries[0].selectiveLogic"),
        ({"entries": [], "recursive_scanning": 1}, "lorebook.recursive_scanning"),
    ],
)
def test_what_is_no_lorebook_is_refused_by_its_field(lorebook: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_lorebook(lorebook)

    assert refused.value.field == field
