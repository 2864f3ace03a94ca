"""Which keys of which entries occur in a text; pure, no I/O."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from typing import Final
from uuid import UUID

import ahocorasick  # type: ignore[import-not-found] # it has no stubs

#: Keys of one automaton. Nothing else of the process runs while it is finished: for this many a few milliseconds.
_KEYS: Final = 10_000


@dataclass(frozen=True, slots=True)
class EntryKeys:
    """What of an entry decides whether it matches, and its place among the matches."""

    lore_id: UUID
    book: str
    position: int
    keys: Sequence[str]
    case_sensitive: bool


class KeyIndex:
    """The keys of many entries, which are all looked for in a text in one pass.

    Construction takes time that grows with the keys, and a match with the text: not for the thread of an event loop.
    """

    def __init__(self, entries: Iterable[EntryKeys]) -> None:
        self._entries = list(entries)
        # The entries with a spelling, each with the number of the key among its own.
        self._exact: dict[str, list[tuple[int, int]]] = {}
        self._folded: dict[str, list[tuple[int, int]]] = {}
        for place, entry in enumerate(self._entries):
            spellings = self._exact if entry.case_sensitive else self._folded
            spell = _composed if entry.case_sensitive else _folded
            for number, key in enumerate(entry.keys):
                if spelled := spell(key).strip():
                    spellings.setdefault(spelled, []).append((place, number))
        self._automata = list(_automata(self._exact)), list(_automata(self._folded))

    def match(self, text: str, books: Collection[str] | None, limit: int) -> dict[UUID, str]:
        """Return the ids of the entries that match, each with its longest key that occurs, the first of equally long.

        The longest key first, then by book, position and id.
        """
        exact, folded = self._automata
        best: dict[int, tuple[int, int]] = {}
        for spellings, automata, spelled in (
            (self._exact, exact, _composed(text)),
            (self._folded, folded, _folded(text)),
        ):
            for key in _occurring(automata, spelled):
                for place, number in spellings[key]:
                    rank = (-len(self._entries[place].keys[number]), number)
                    best[place] = min(best.get(place, rank), rank)
        named = ((place, number) for place, (_, number) in best.items() if self._is_of(place, books))
        return {
            self._entries[place].lore_id: self._entries[place].keys[number]
            for place, number in nsmallest(limit, named, key=self._order)
        }

    def _is_of(self, place: int, books: Collection[str] | None) -> bool:
        return books is None or self._entries[place].book in books

    def _order(self, called: tuple[int, int]) -> tuple[object, ...]:
        entry = self._entries[called[0]]
        return (-len(entry.keys[called[1]]), entry.book, entry.position, str(entry.lore_id))


def _automata(spellings: Iterable[str]) -> Iterator[ahocorasick.Automaton]:
    left = iter(spellings)
    while keys := list(islice(left, _KEYS)):
        automaton = ahocorasick.Automaton()
        for key in keys:
            automaton.add_word(key, key)
        automaton.make_automaton()
        yield automaton


def _occurring(automata: Iterable[ahocorasick.Automaton], text: str) -> set[str]:
    """Return the keys that occur in the text with no word that continues across their ends."""
    found: set[str] = set()
    for automaton in automata:
        for last, key in automaton.iter(text):
            if key not in found and _is_whole(text, last + 1 - len(key), last + 1):
                found.add(key)
    return found


def _is_whole(text: str, begin: int, end: int) -> bool:
    before, after = text[begin - 1 : begin], text[end : end + 1]
    return not (_continues(before, text[begin]) or _continues(after, text[end - 1]))


def _continues(neighbour: str, edge: str) -> bool:
    return _is_of_a_word(neighbour) and _is_of_a_word(edge)


def _is_of_a_word(character: str) -> bool:
    return character != "" and (character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M")


def _composed(text: str) -> str:
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text)


def _folded(text: str) -> str:
    """Spell a text without case; composed twice, since folding can decompose a letter."""
    if text.isascii():
        return text.lower()
    return _composed(_composed(text).casefold())
