"""The scene that every benchmark appends: about 1,300 bytes of varied text, and three choices."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

_BYTES: Final = 1_300
_SYLLABLES: Final = (
    "ba",
    "del",
    "fen",
    "go",
    "har",
    "il",
    "jun",
    "ka",
    "lo",
    "mir",
    "na",
    "os",
    "pe",
    "quo",
    "sul",
    "ti",
    "wey",
)
_SEED: Final = 20_261_121


@dataclass(frozen=True, slots=True)
class SampleScene:
    """What a scene of a story contains."""

    content: str
    choices: tuple[str, ...]


def sample_scenes(count: int = 512) -> Iterator[SampleScene]:
    """Yield scenes for ever: `count` different ones, the same in every run; only the first call takes time."""
    return itertools.cycle(_scenes(count))


@cache
def _scenes(count: int) -> Sequence[SampleScene]:
    chance = random.Random(_SEED)
    words = ["".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4))) for _ in range(6_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]  # as words of a language are distributed
    return [_scene(chance, words, weights) for _ in range(count)]


def _scene(chance: random.Random, words: list[str], weights: list[float]) -> SampleScene:
    text = " ".join(chance.choices(words, weights, k=_BYTES // 3))
    choices = (" ".join(chance.choices(words, weights, k=4)).capitalize() for _ in range(3))
    return SampleScene(text[:_BYTES], tuple(choices))
