"""From texts to vectors: parts, one computation for all who ask, the cache, batches.

A transaction lasts for one statement here, and none is open while the embedder works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from livingworld.background.single_flight import Deliver, SingleFlight
from livingworld.errors import LivingWorldError, Timeout, Unavailable
from livingworld.inputs import MAX_CONTENT_CHARACTERS, check_sequence, check_text
from livingworld.models.embeddings.batching import Batches, Outcome, named_failure
from livingworld.models.embeddings.cache import EmbeddingCache
from livingworld.models.embeddings.chunking import combine, split_text
from livingworld.models.embeddings.embedder import Embedder, check_embedder
from livingworld.models.embeddings.records import Embedded
from livingworld.models.embeddings.vectors import Vector
from livingworld.observability import instruments
from livingworld.postgres.services import Services

#: Most texts of one call.
MAX_TEXTS: Final = 10_000


class _Key(NamedTuple):
    """What is computed once: a part of a text, by a model."""

    embedder: str
    dimensions: int
    part: str


class WorldEmbeddings:
    """Shared by every pipeline of one world in one process."""

    def __init__(self, services: Services, gate: Callable[[str], asyncio.Semaphore]) -> None:
        """`gate` limits the batches of the embedder that it names, in all worlds."""
        self.unit = services.unit
        self.settings = services.settings
        self.metrics = services.metrics
        self.gate = gate
        self.single_flight: SingleFlight[_Key, Outcome] = SingleFlight(services.tasks.watch, named_failure)


class EmbeddingPipeline:
    """One embedder at work for one world."""

    def __init__(self, embedder: Embedder, shared: WorldEmbeddings) -> None:
        self._name, self._dimensions = check_embedder(embedder)
        self._embedder = embedder
        self._shared = shared
        self._cache = EmbeddingCache(shared.unit, self._name, self._dimensions)

    @property
    def embedder(self) -> Embedder:
        """The embedder."""
        return self._embedder

    async def embed(self, texts: Sequence[str]) -> tuple[Vector, ...]:
        """Return one vector of length 1 for each text, in order; known ones are read, the others computed and kept.

        Raises the first failure when a text got no vector: BatchSizeMismatch, DimensionMismatch, InvalidVector,
        OutOfMemory, EmbedderUnavailable, EmbedderTimeout, EmbeddingFailed with the embedder's own exception as cause,
        or what the database raises. It says by places in `texts` which have vectors (`embedded`), which are kept, and
        which not (`missing`). InvalidInput for an empty text or more than 10,000 of them.
        """
        result = await self.embed_each(texts)
        if missing := result.missing:
            error = result.failures[missing[0]]
            error.__dict__.update(embedded=result.embedded, missing=missing)
            raise error
        return tuple(vector for vector in result.vectors if vector is not None)

    async def embed_each(self, texts: Sequence[str]) -> Embedded:
        """Return for each text its vector or why it has none; raises InvalidInput only."""
        checked = [
            check_text(f"texts[{place}]", text, limit=MAX_CONTENT_CHARACTERS, empty=False)
            for place, text in enumerate(check_sequence("texts", texts, limit=MAX_TEXTS))
        ]
        self._shared.unit.refuse_misplaced()
        parts = {text: self._keys(text) for text in dict.fromkeys(checked)}
        keys = [key for keys in parts.values() for key in keys]
        outcomes = await self._shared.single_flight.get(dict.fromkeys(keys), self._compute)
        wholes = {text: _whole(keys, outcomes) for text, keys in parts.items()}
        return Embedded(outcomes=tuple(wholes[text] for text in checked))

    async def embed_each_apart(self, texts: Sequence[str]) -> Embedded:
        """Return what `embed_each` does, of those that failed what comes of each alone: one delays no other.

        What failed because the embedder or the server is away is not asked for again.
        """
        embedded = await self.embed_each(texts)
        outcomes = list(embedded.outcomes)
        if len(texts) > 1:
            for place, error in embedded.failures.items():
                if not isinstance(error, Unavailable | Timeout):
                    (outcomes[place],) = (await self.embed_each([texts[place]])).outcomes
        return Embedded(outcomes=tuple(outcomes))

    def _keys(self, text: str) -> list[_Key]:
        """Return the parts of a text that say something; blank ones would only be refused by an endpoint."""
        parts = split_text(text, self._shared.settings.embedding_chunk_characters)
        return [_Key(self._name, self._dimensions, part) for part in parts if part.strip()]

    async def _compute(self, keys: Sequence[_Key], deliver: Deliver[_Key, Outcome]) -> None:
        """Deliver each part: from the cache, or from the embedder when its whole batch is in the cache."""
        by_part = {key.part: key for key in keys}
        found = await self._cache.find(by_part)
        for part, vector in found.items():
            deliver(by_part[part], vector)
        self._shared.metrics.add(instruments.EMBEDDED_TEXTS, len(found), "cached")
        missing = [part for part in by_part if part not in found]
        gate = self._shared.gate(self._name)
        batches = Batches(self._embedder, gate, self._cache.keep, partial(_report, deliver, by_part))
        batches.metrics = self._shared.metrics
        await batches.run(missing, self._shared.settings.embedding_batch_size)


def _report(deliver: Deliver[_Key, Outcome], keys: dict[str, _Key], part: str, outcome: Outcome) -> None:
    deliver(keys[part], outcome)


def _whole(keys: Sequence[_Key], outcomes: Mapping[_Key, Outcome]) -> Outcome:
    """Return the vector of a text, or the failure of the first part that has none."""
    vectors = []
    for key in keys:
        outcome = outcomes[key]
        if isinstance(outcome, LivingWorldError):
            return outcome
        vectors.append(outcome)
    return combine([key.part for key in keys], vectors)
