"""All keys of all entries are found in one pass, as if each were looked for alone."""

from __future__ import annotations

import unicodedata
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some

from livingworld.story.lore import matching
from livingworld.story.lore.matching import EntryKeys, KeyIndex, ScannedTexts

pytestmark = pytest.mark.any_server

#: Letters with and without case, accents and marks, what is part of no word, and what becomes two letters.
LETTERS = "aAbßSsé\u0301Σς_1 -灯का"
TEXTS = some.text(LETTERS, max_size=30)
ENTRIES = some.lists(
    some.tuples(
        some.sampled_from("xyz"), some.integers(0, 2), some.lists(some.text(LETTERS, max_size=4)), some.booleans()
    )
)


def spelled(text: str, *, case_sensitive: bool) -> str:
    composed = unicodedata.normalize("NFC", text)
    return composed if case_sensitive else unicodedata.normalize("NFC", composed.casefold())


def is_of_a_word(character: str) -> bool:
    return character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")


def occurs(key: str, text: str) -> bool:
    """Look at each place of the text."""
    for begin in range(len(text) - len(key) + 1) if key else ():
        end = begin + len(key)
        continues = (
            begin > 0 and is_of_a_word(text[begin - 1]) and is_of_a_word(key[0]),
            end < len(text) and is_of_a_word(text[end]) and is_of_a_word(key[-1]),
        )
        if text[begin:end] == key and not any(continues):
            return True
    return False


def matched(entries: list[EntryKeys], text: str, books: list[str] | None) -> list[tuple[UUID, str]]:
    """Return the matches, found key by key."""
    found = []
    for entry in entries:
        searched = spelled(text, case_sensitive=entry.case_sensitive)
        called = [k for k in entry.keys if occurs(spelled(k, case_sensitive=entry.case_sensitive).strip(), searched)]
        if called and (books is None or entry.book in books):
            key = max(called, key=len)
            found.append(((-len(key), entry.book, entry.position, str(entry.lore_id)), (entry.lore_id, key)))
    return [match for _, match in sorted(found)]


@given(entries=ENTRIES, text=TEXTS, books=some.none() | some.lists(some.sampled_from("xyz")), limit=some.integers(1, 5))
def test_the_index_finds_what_a_search_for_each_key_finds(
    entries: list[tuple[str, int, list[str], bool]], text: str, books: list[str] | None, limit: int
) -> None:
    given_entries = [EntryKeys(UUID(int=number), *fields) for number, fields in enumerate(entries)]

    found = KeyIndex(given_entries).match(ScannedTexts([text]), books, limit)

    assert list(found.items()) == matched(given_entries, text, books)[:limit]


def test_keys_of_several_automata_are_all_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_KEYS", 2)
    entries = [
        EntryKeys(UUID(int=number), "x", number, [word], case_sensitive=False) for number, word in enumerate("abcde")
    ]

    assert list(KeyIndex(entries).match(ScannedTexts(["e d c b a"]), None, 9).values()) == list("abcde")
