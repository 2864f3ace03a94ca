"""Long texts in parts: where to cut them, and the one vector that the parts make."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from operator import mul
from typing import Final

from livingworld.models.embeddings.vectors import Vector, normalized

#: What a part may end with, best first; blank characters belong to the part that they follow.
_PARAGRAPH: Final = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE: Final = re.compile(r"[.!?…][\"'”’»)\]]{0,3}\s+|[。！？]|\n\s*")  # noqa: RUF001 - they end sentences
_WORD: Final = re.compile(r"\s+")
#: A vector shorter than this is what rounding leaves of parts that cancel each other out.
_NOTHING: Final = 1e-6


def split_text(text: str, limit: int) -> tuple[str, ...]:
    """Cut a text into parts of at most `limit` characters, which joined are the text again; none for "".

    A part ends with a paragraph where one ends in the second half of what fits, else with a sentence, else with a word;
    a word that is longer than a part is cut.
    """
    parts = []
    start = 0
    while len(text) - start > limit:
        end = _cut(text, start, start + limit)
        parts.append(text[start:end])
        start = end
    if start < len(text):
        parts.append(text[start:])
    return tuple(parts)


def combine(parts: Sequence[str], vectors: Sequence[Vector]) -> Vector:
    """Return the vector of the whole: the mean of the parts' vectors, each with the weight of its length, normalised.

    The vectors have length 1. Where they cancel each other out, that of the longest part stands for all.
    """
    if len(parts) == 1:
        return vectors[0]
    whole = sum(map(len, parts))
    weights = [len(part) / whole for part in parts]
    mean = [math.fsum(map(mul, weights, column)) for column in zip(*vectors, strict=True)]
    if math.hypot(*mean) < _NOTHING:
        return vectors[weights.index(max(weights))]
    return normalized(mean)


def _cut(text: str, start: int, end: int) -> int:
    middle = start + (end - start) // 2
    for boundary in (_PARAGRAPH, _SENTENCE, _WORD):
        if cut := _last_end(boundary, text, middle, end):
            return cut
    return _last_end(_WORD, text, start, middle) or end


def _last_end(boundary: re.Pattern[str], text: str, start: int, end: int) -> int | None:
    """Return where the last boundary ends that begins at `start` or later, at most at `end`."""
    last = None
    for found in boundary.finditer(text, start, end):
        last = found.end()
    return last
