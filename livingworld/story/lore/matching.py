"""Which keys of which entries occur in a text; pure, no I/O."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from math import inf
from typing import Any, Final
from uuid import UUID

import ahocorasick  # type: ignore[import-not-found] # it has no stubs

from livingworld.story.lore.regular_expressions import compile_key

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
    whole_words: bool = True
    regex: bool = False
    secondary_keys: Sequence[str] = ()
    secondary_logic: str = "and_any"
    constant: bool = False
    scan_depth: int | None = None
    exclude_recursion: bool = False

    def all_keys(self) -> list[str]:
        """Return the keys, then the secondary ones."""
        return [*self.keys, *self.secondary_keys]

    def called_by(self, numbers: Collection[int]) -> int | None:
        """Return the longest key of those that occur, the first of equally long; None when they call nothing."""
        own = [number for number in numbers if number < len(self.keys)]
        if not own or not self._has_secondary(len(numbers) - len(own)):
            return None
        return min(own, key=lambda number: (-len(self.keys[number]), number))

    def _has_secondary(self, occurring: int) -> bool:
        if not self.secondary_keys:
            return True
        return {
            "and_any": occurring > 0,
            "and_all": occurring == len(self.secondary_keys),
            "not_any": occurring == 0,
            "not_all": occurring < len(self.secondary_keys),
        }[self.secondary_logic]


@dataclass(frozen=True, slots=True)
class ScannedTexts:
    """What is looked through."""

    #: The newest last.
    texts: Sequence[str]
    #: Contents of the entries that were called before: as near as the newest text.
    contents: Sequence[str] = ()
    #: What was called before, and is not looked for again.
    called: Collection[UUID] = frozenset()

    def by_depth(self) -> Iterator[tuple[int, str]]:
        """Yield each text with its place from the newest back, from 1."""
        yield from enumerate(reversed(self.texts), 1)
        for content in self.contents:
            yield 1, content


class KeyIndex:
    """The keys of many entries, which are all looked for in a text in one pass.

    Construction takes time that grows with the keys, and a match with the text: not for the thread of an event loop.
    """

    def __init__(self, entries: Iterable[EntryKeys]) -> None:
        self._entries = list(entries)
        # The entries with a spelling, each with the number of the key among its own.
        self._exact: dict[str, list[tuple[int, int]]] = {}
        self._folded: dict[str, list[tuple[int, int]]] = {}
        self._regular: list[tuple[int, int, Any]] = []
        for place, entry in enumerate(self._entries):
            self._add(place, entry)
        self._constant = [place for place, entry in enumerate(self._entries) if entry.constant]
        self._automata = list(_automata(self._exact)), list(_automata(self._folded))

    def match(self, scanned: ScannedTexts, books: Collection[str] | None, limit: int) -> dict[UUID, str | None]:
        """Return the ids of the entries that match, each with its longest key that occurs, the first of equally long.

        First those that match everything, then the longest key first, then by book, position and id.
        """
        found: dict[int, set[int]] = defaultdict(set)
        for depth, text in scanned.by_depth():
            for place, number in self._occurring(text):
                if depth <= (self._entries[place].scan_depth or depth):
                    found[place].add(number)
        best = {place: self._entries[place].called_by(numbers) for place, numbers in found.items()}
        keys = {place: self._entries[place].keys[number] for place, number in best.items() if number is not None}
        called: dict[int, str | None] = {**keys, **dict.fromkeys(self._constant)}
        wanted = ((place, key) for place, key in called.items() if self._is_wanted(place, scanned, books))
        return {self._entries[place].lore_id: key for place, key in nsmallest(limit, wanted, key=self._order)}

    def _add(self, place: int, entry: EntryKeys) -> None:
        spellings = self._exact if entry.case_sensitive else self._folded
        spell = _composed if entry.case_sensitive else _folded
        for number, key in enumerate(entry.all_keys()):
            if entry.regex:
                compiled = compile_key("keys", key, case_sensitive=entry.case_sensitive)
                self._regular.append((place, number, compiled))
            elif spelled := spell(key).strip():
                spellings.setdefault(spelled, []).append((place, number))

    def _occurring(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the entries with a key that occurs in a text as the entry wants it, with the number of the key."""
        exact, folded = self._automata
        for spellings, automata, spelled in (
            (self._exact, exact, _composed(text)),
            (self._folded, folded, _folded(text)),
        ):
            for key, is_whole in _occurring(automata, spelled).items():
                for place, number in spellings[key]:
                    if is_whole or not self._entries[place].whole_words:
                        yield place, number
        composed = _composed(text)
        for place, number, compiled in self._regular:
            if compiled.search(composed):
                yield place, number

    def _is_wanted(self, place: int, scanned: ScannedTexts, books: Collection[str] | None) -> bool:
        entry = self._entries[place]
        if entry.lore_id in scanned.called or (scanned.contents and entry.exclude_recursion):
            return False
        return books is None or entry.book in books

    def _order(self, called: tuple[int, str | None]) -> tuple[object, ...]:
        place, key = called
        entry = self._entries[place]
        length = inf if key is None else len(key)
        return (-length, entry.book, entry.position, str(entry.lore_id))


def _automata(spellings: Iterable[str]) -> Iterator[ahocorasick.Automaton]:
    left = iter(spellings)
    while keys := list(islice(left, _KEYS)):
        automaton = ahocorasick.Automaton()
        for key in keys:
            automaton.add_word(key, key)
        automaton.make_automaton()
        yield automaton


def _occurring(automata: Iterable[ahocorasick.Automaton], text: str) -> dict[str, bool]:
    """Return the keys that occur in the text, and whether somewhere no word continues across their ends."""
    found: dict[str, bool] = {}
    for automaton in automata:
        for last, key in automaton.iter(text):
            if not found.get(key):
                found[key] = _is_whole(text, last + 1 - len(key), last + 1)
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
