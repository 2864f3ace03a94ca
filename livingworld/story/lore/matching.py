"""Which keys occur in a text; pure, no I/O."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

_WORD: Final = re.compile(r"\w+")


class SearchedText:
    """A text in the two spellings that keys are compared with, and the words of each.

    Construction and search take time that grows with the text and the keys: not for the thread of an event loop.
    """

    def __init__(self, text: str) -> None:
        self._exact = _composed(text)
        self._folded = _folded(text)
        self._words = {word.group() for spelling in (self._exact, self._folded) for word in _WORD.finditer(spelling)}

    def longest_key(self, keys: Iterable[str], *, case_sensitive: bool) -> str | None:
        """Return the longest of the keys that occurs as whole words, the first of equally long ones, or None."""
        found = [key for key in keys if self._has(key, case_sensitive=case_sensitive)]
        return max(found, key=len, default=None)

    def _has(self, key: str, *, case_sensitive: bool) -> bool:
        spelled = (_composed(key) if case_sensitive else _folded(key)).strip()
        word = _WORD.search(spelled)
        if word and word.group() not in self._words:
            return False  # a key that occurs as whole words has each word whole: the text need not be searched
        return _occurs(spelled, self._exact if case_sensitive else self._folded)


def order_of_match(key: str, book: str, position: int, lore_id: object) -> tuple[object, ...]:
    """Return the sort key of a match: the longest key first, then book, position and id."""
    return (-len(key), book, position, str(lore_id))


def _occurs(key: str, text: str) -> bool:
    """Return whether the key occurs in the text and no word continues across its ends."""
    begin = text.find(key) if key else -1
    while begin >= 0:
        end = begin + len(key)
        if not (_continues(text[begin - 1 : begin], key[0]) or _continues(text[end : end + 1], key[-1])):
            return True
        begin = text.find(key, begin + 1)
    return False


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
