"""Who tells the story: any OpenAI-compatible endpoint, or a Markov chain over a page of our own prose."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from hashlib import blake2b
from importlib.resources import files
from random import Random
from typing import Final, Protocol

import httpx

from story_generator.config import Config

_WORDS: Final = (35, 60)
_TIMEOUT: Final = httpx.Timeout(30, read=120)


class ModelFailedError(Exception):
    """The model gave no usable answer."""


class Model(Protocol):
    """A language model that answers in pieces."""

    name: str

    def stream(self, prompt: str) -> AsyncIterator[str]:
        """Give the answer piece by piece; raises ModelFailedError."""
        ...


def choose_model(config: Config) -> Model:
    """Return the model that was asked for."""
    if config.model_url is None:
        return MarkovModel(config.seed, config.word_delay)
    return OpenAIModel(config.model_url, config.model, config.model_key)


class MarkovModel:
    """Continues our own prose by chance; the same seed gives the same answers, in order, to the same prompt."""

    def __init__(self, seed: int, word_delay: float) -> None:
        self.name = f"markov-{seed}"
        self._seed = seed
        self._delay = word_delay
        #: How often a prompt was answered: telling anew tells something else.
        self._asked: Counter[bytes] = Counter()
        words = files("story_generator").joinpath("corpus.txt").read_text(encoding="utf-8").split()
        self._next: dict[tuple[str, str], list[str]] = defaultdict(list)
        for first, second, third in zip(words, words[1:], words[2:], strict=False):
            self._next[first, second].append(third)
        self._starts = [pair for pair in self._next if pair[0][:1].isupper()]

    async def stream(self, prompt: str) -> AsyncIterator[str]:
        """Give the answer word by word, and three choices at its end."""
        digest = blake2b(f"{self._seed} {prompt}".encode(), digest_size=8).digest()
        chance = Random(int.from_bytes(digest) + self._asked[digest])
        self._asked[digest] += 1
        for word in self._passage(chance, chance.randint(*_WORDS)):
            await asyncio.sleep(self._delay)
            yield f"{word} "
        for number in range(1, 4):
            await asyncio.sleep(self._delay)
            yield f"\n{number}. {' '.join(self._passage(chance, 4)).rstrip('.,;')}"

    def _passage(self, chance: Random, length: int) -> list[str]:
        words = list(chance.choice(self._starts))
        while len(words) < length or (length > _WORDS[0] and words[-1][-1] not in ".!?"):
            following = self._next.get((words[-2], words[-1])) or [chance.choice(self._starts)[0]]
            words.append(chance.choice(following))
        return words


class OpenAIModel:
    """A chat completion endpoint as OpenAI, Ollama, llama.cpp and vLLM serve it."""

    def __init__(self, url: str, name: str, key: str | None) -> None:
        self.name = name
        self._url = f"{url.rstrip('/')}/chat/completions"
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def stream(self, prompt: str) -> AsyncIterator[str]:
        """Give the answer as the endpoint streams it."""
        request = {"model": self.name, "stream": True, "messages": [{"role": "user", "content": prompt}]}
        ended = False
        try:
            async with (
                httpx.AsyncClient(timeout=_TIMEOUT) as client,
                client.stream("POST", self._url, json=request, headers=self._headers) as response,
            ):
                response.raise_for_status()
                async for line in response.aiter_lines():
                    ended = ended or line == "data: [DONE]"
                    if line.startswith("data: ") and not ended:
                        yield _piece(line.removeprefix("data: "))
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            raise ModelFailedError(type(error).__name__) from error
        if not ended:
            raise ModelFailedError("the answer was cut off")


def _piece(data: str) -> str:
    choices = json.loads(data)["choices"]
    return str(choices[0]["delta"].get("content") or "") if choices else ""
