"""An embedder for tests: no model, no network, the same vectors everywhere."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from livingworld.inputs import check_integer
from livingworld.models.embeddings.vectors import MAX_DIMENSIONS

_WORD: Final = re.compile(r"\w+")


class HashingEmbedder:
    """Counts words in signed buckets: the more words two texts share, the closer their vectors. Order is ignored."""

    def __init__(self, dimensions: int = 384) -> None:
        """Make vectors of this many numbers; raises InvalidInput for a number out of range."""
        self.dimensions = check_integer("dimensions", dimensions, minimum=1, maximum=MAX_DIMENSIONS)
        self.name = f"hashing-{dimensions}"

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """Return one vector of length 1 for each text, in order."""
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> tuple[float, ...]:
        counts = self._count(_WORD.findall(text.casefold()))
        if not any(counts):  # no word, or words that cancel out
            counts = self._count([text])
        length = math.hypot(*counts)
        return tuple(count / length for count in counts)

    def _count(self, words: Sequence[str]) -> list[float]:
        counts = [0.0] * self.dimensions
        for word in words:
            number = int.from_bytes(blake2b(word.encode(), digest_size=8).digest())
            counts[(number >> 1) % self.dimensions] += 1 if number & 1 else -1
        return counts
