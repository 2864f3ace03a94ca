"""The built-in model: a Markov chain over a page of our own prose. It needs no key and no download."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from hashlib import blake2b
from importlib.resources import files
from random import Random
from typing import Final

_WORDS: Final = (35, 60)
_NAMES: Final = ("Mara", "Tom", "Harbour master", "Old woman")
_CHOICES: Final = (
    "Follow the {} into the dark",
    "Ask {} what happened to the ferry",
    "Put out the {} and listen",
    "Take the {} and turn back",
    "Wait with {} until the tide turns",
    "Hide behind the {}",
)
_THINGS: Final = ("lantern", "rope", "bell", "stair", "cup", "boat", "fog")
_MOODS: Final = ("wary", "calm", "frightened", "hopeful", "weary", "curious")
_FOG: Final = ("thick", "thin", "lifting", "on the sill")


class BuiltInModel:
    """Continues our own prose by chance; the same seed gives the same answers, in order, to the same prompt."""

    def __init__(self, seed: int, word_delay: float) -> None:
        self.name = f"built-in-{seed}"
        self._seed = seed
        self._delay = word_delay
        #: How often a prompt was answered: an alternative is another text.
        self._asked: Counter[bytes] = Counter()
        words = files("story_generator").joinpath("corpus.txt").read_text(encoding="utf-8").split()
        self._next: dict[tuple[str, str], list[str]] = defaultdict(list)
        for first, second, third in zip(words, words[1:], words[2:], strict=False):
            self._next[first, second].append(third)
        self._starts = [pair for pair in self._next if pair[0][:1].isupper()]

    async def stream(self, prompt: str, begun: str = "") -> AsyncIterator[str]:
        """Give the answer word by word: a passage, three choices, and notes of what became true."""
        digest = blake2b(f"{self._seed} {prompt}".encode(), digest_size=8).digest()
        chance = Random(int.from_bytes(digest) + self._asked[digest])
        if not begun:
            self._asked[digest] += 1
        answer = self._answer(chance)
        for word in re.findall(r"\S+\s*", answer.removeprefix(begun)):
            await asyncio.sleep(self._delay)
            yield word

    def _answer(self, chance: Random) -> str:
        text = self._passage(chance, chance.randint(*_WORDS))
        cast = [name for name in _NAMES if name.lower() in text.lower()]
        choices = [_choice(chance, form, cast) for form in chance.sample(_CHOICES, 3)]
        listed = "\n".join(f"{number}. {choice}" for number, choice in enumerate(choices, 1))
        return f"{text}\n\n{listed}\n---\n" + "\n".join(_notes(chance, text, cast))

    def _passage(self, chance: Random, length: int) -> str:
        words = list(chance.choice(self._starts))
        while len(words) < length or words[-1][-1] not in ".!?":
            following = self._next.get((words[-2], words[-1])) or [chance.choice(self._starts)[0]]
            words.append(chance.choice(following))
        return " ".join(words)


def _choice(chance: Random, form: str, cast: list[str]) -> str:
    asks_somebody = " {} what" in form or "with {}" in form
    return form.format(chance.choice(cast or ["Mara"]) if asks_somebody else chance.choice(_THINGS))


def _notes(chance: Random, text: str, cast: list[str]) -> list[str]:
    """Return notes as a language model is asked for them, see prompt.py."""
    notes = [f"cast: {', '.join(cast)}", f"fact: harbour | fog | {chance.choice(_FOG)}"]
    notes += [f"fact: {name} | mood | {chance.choice(_MOODS)}" for name in cast[:2]]
    for sentence in re.findall(r"[A-Z][^.]*\.", text)[:1]:
        notes.append(f"memory: {cast[0] if cast else ''} | {sentence}")
    if len(cast) > 1:
        first, second = chance.sample(cast, 2)
        notes.append(f"feels: {first} | {second} | trust {chance.choice(('+0.2', '-0.1'))} | they met in the fog")
    return notes
