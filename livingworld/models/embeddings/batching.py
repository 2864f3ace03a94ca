"""Texts go to the embedder in batches: a limited number at once, each answer checked and kept when it is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from time import perf_counter
from typing import TypeAlias

from livingworld.errors import (
    BatchSizeMismatch,
    EmbedderTimeout,
    EmbedderUnavailable,
    EmbeddingFailed,
    LivingWorldError,
    OutOfMemory,
)
from livingworld.errors.base import own_copy
from livingworld.models.embeddings.embedder import Embedder
from livingworld.models.embeddings.vectors import Vector, check_vector, normalized
from livingworld.observability import events, instruments
from livingworld.observability.metrics import Metrics

#: Stores the vectors of a whole batch.
Keep: TypeAlias = Callable[[Mapping[str, Vector]], Awaitable[None]]
#: The vector of a text, or why it has none.
Outcome: TypeAlias = Vector | LivingWorldError
#: Reports the outcome of one text.
Report: TypeAlias = Callable[[str, Outcome], None]


def split_batches(texts: Sequence[str], size: int) -> list[Sequence[str]]:
    """Return the texts in order, `size` in each batch but the last."""
    return [texts[start : start + size] for start in range(0, len(texts), size)]


def check_answer(texts: Sequence[str], vectors: object, dimensions: int) -> list[tuple[float, ...]]:
    """Return the vectors of a batch; raise unless there is exactly one good one for each text.

    Raises BatchSizeMismatch, DimensionMismatch, InvalidVector, InvalidType.
    """
    answers = list(vectors)  # type: ignore[call-overload]  # what is no list is a TypeError, as it should be
    if len(answers) != len(texts):
        raise BatchSizeMismatch(expected=len(texts), actual=len(answers))
    return [check_vector(f"vectors[{place}]", answer, dimensions=dimensions) for place, answer in enumerate(answers)]


class Batches:
    """Texts of one call on their way to an embedder."""

    def __init__(self, embedder: Embedder, gate: asyncio.Semaphore, keep: Keep, report: Report) -> None:
        """`gate` limits the batches at work at once; `keep` is called with each whole batch, before `report`."""
        self._embedder = embedder
        self._gate = gate
        self._keep = keep
        self._report = report
        #: Why no further batch is begun: the embedder is away.
        self._away: LivingWorldError | None = None
        #: Where the calls are counted.
        self.metrics = Metrics()

    async def run(self, texts: Sequence[str], size: int) -> None:
        """Embed all texts and report each; when a batch fails, the others go on.

        Only when the embedder is away, the batches that have not begun fail as the first one did.
        """
        async with asyncio.TaskGroup() as tasks:
            for number, batch in zip(count(1), split_batches(texts, size), strict=False):
                tasks.create_task(self._run_batch(number, batch))

    async def _run_batch(self, number: int, texts: Sequence[str]) -> None:
        try:
            vectors = await self._through_the_gate(number, texts)
            await self._keep(dict(zip(texts, vectors, strict=True)))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported to those who wait
            self.metrics.add(instruments.EMBEDDED_TEXTS, len(texts), "failed")
            self._fail(number, texts, named_failure(error, batch=number))
        else:
            self.metrics.add(instruments.EMBEDDED_TEXTS, len(texts), "computed")
            for text, vector in zip(texts, vectors, strict=True):
                self._report(text, vector)

    async def _through_the_gate(self, number: int, texts: Sequence[str]) -> list[Vector]:
        async with self._gate:
            if self._away is not None:
                raise own_copy(self._away)
            return await self._embed(number, texts)

    async def _embed(self, number: int, texts: Sequence[str]) -> list[Vector]:
        """Embed a batch whole, or in halves for as long as there is not enough memory."""
        try:
            vectors = await self._call(texts)
        except (MemoryError, OutOfMemory):
            if len(texts) == 1:
                raise
        else:
            return [normalized(vector) for vector in check_answer(texts, vectors, self._embedder.dimensions)]
        events.emit(events.EMBEDDING_BATCH_HALVED, embedder=self._embedder.name, batch=number, texts=len(texts))
        middle = (len(texts) + 1) // 2
        return [*await self._embed(number, texts[:middle]), *await self._embed(number, texts[middle:])]

    async def _call(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        began, error = perf_counter(), ""
        try:
            return await self._embedder.embed(texts)
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            call = (perf_counter() - began, "embeddings", self._embedder.name, error)
            self.metrics.record(instruments.MODEL_DURATION, *call)

    def _fail(self, number: int, texts: Sequence[str], error: LivingWorldError) -> None:
        if isinstance(error, EmbedderUnavailable | EmbedderTimeout):
            self._away = error
        kind = type(error).__name__
        events.emit(
            events.EMBEDDING_BATCH_FAILED, embedder=self._embedder.name, batch=number, texts=len(texts), error=kind
        )
        for text in texts:
            self._report(text, error)


def named_failure(error: BaseException | None, *, batch: int | None = None) -> LivingWorldError:
    """Return the livingworld error that an embedder's exception means; the exception itself is its cause."""
    if error is None:
        return EmbeddingFailed()
    if isinstance(error, BatchSizeMismatch) and batch is not None:  # an adapter does not know the number
        return BatchSizeMismatch(batch=batch, expected=error.expected, actual=error.actual)
    if isinstance(error, LivingWorldError):
        return error
    named: LivingWorldError = (
        OutOfMemory() if isinstance(error, MemoryError) else EmbeddingFailed(error=type(error).__name__)
    )
    named.__cause__ = error
    return named
