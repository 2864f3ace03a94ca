"""Two backends as one embedder: the fast one while it is worth it, the safe one otherwise and whenever it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Final

from livingworld.errors import InvalidNumber, InvalidText, OutOfMemory
from livingworld.models.embeddings.batching import check_answer
from livingworld.models.embeddings.circuit_breaker import CircuitBreaker, Permit
from livingworld.models.embeddings.dispatch import Backend, DispatchPolicy, DispatchSnapshot, choose
from livingworld.models.embeddings.embedder import Embedder, check_embedder
from livingworld.models.embeddings.metrics import Metrics, Outcome
from livingworld.observability import events

_MEMORY: Final = (MemoryError, OutOfMemory)


class EmbedderDispatcher:
    """An Embedder made of a fast and a safe backend of one name and size."""

    def __init__(
        self,
        fast: Embedder,
        safe: Embedder,
        *,
        policy: DispatchPolicy | None = None,
        breaker: CircuitBreaker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives seconds that only rise. Raises InvalidInput when the backends are not one model."""
        self.name, self.dimensions = check_embedder(fast)
        name, dimensions = check_embedder(safe)
        if name != self.name:
            raise InvalidText("safe.name", "is not the name of the fast backend: their vectors cannot be compared")
        if dimensions != self.dimensions:
            raise InvalidNumber("safe.dimensions", f"is {dimensions}; the fast backend has {self.dimensions}")
        self._backends = {Backend.FAST: fast, Backend.SAFE: safe}
        self._metrics = {backend: Metrics() for backend in Backend}
        self._policy = policy or DispatchPolicy()
        self._clock = clock
        self._breaker = breaker or CircuitBreaker(clock)

    def snapshot(self) -> DispatchSnapshot:
        """Return all numbers that a decision would rest on now; nothing happens between two of them."""
        return DispatchSnapshot(
            fast=self._metrics[Backend.FAST].snapshot(),
            safe=self._metrics[Backend.SAFE].snapshot(),
            fast_permitted=self._breaker.permitted,
            policy=self._policy,
        )

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """Return one vector for each text; what the fast backend cannot do the safe one does.

        Raises what the safe backend raises. Out of memory is raised by either, for the batch to be halved; the fast
        one's for a single text is a failure like any other.
        """
        if choose(self.snapshot(), len(texts)) is Backend.FAST:  # and nothing is awaited before its permit is taken
            vectors = await self._try_fast(texts, self._breaker.begin())
            if vectors is not None:
                return vectors
        return await self._call(Backend.SAFE, texts)

    async def _try_fast(self, texts: Sequence[str], permit: Permit) -> list[tuple[float, ...]] | None:
        """Return the fast backend's vectors, or None when it failed; the circuit learns how it ended."""
        report = self._breaker.release
        try:
            vectors = await self._call(Backend.FAST, texts)
            report = self._breaker.succeed
        except Exception as error:
            if isinstance(error, _MEMORY) and len(texts) > 1:
                raise
            report = self._breaker.fail
            kind = type(error).__name__
            events.emit(events.EMBEDDER_FELL_BACK, embedder=self.name, texts=len(texts), error=kind)
            return None
        else:
            return vectors
        finally:
            self._report_to_circuit(report, permit)

    def _report_to_circuit(self, report: Callable[[Permit], None], permit: Permit) -> None:
        before = self._breaker.state
        report(permit)
        if (state := self._breaker.state) is not before:
            events.emit(events.EMBEDDER_CIRCUIT_CHANGED, embedder=self.name, state=state.value)

    async def _call(self, backend: Backend, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """Call a backend, check its answer and count it; a wrong answer is a failure."""
        metrics = self._metrics[backend]
        metrics.begin()
        began = self._clock()
        outcome = Outcome.ABANDONED
        try:
            vectors = check_answer(texts, await self._backends[backend].embed(texts), self.dimensions)
            outcome = Outcome.SUCCEEDED
        except Exception as error:
            if len(texts) == 1 or not isinstance(error, _MEMORY):
                outcome = Outcome.FAILED
            raise
        finally:
            metrics.end(outcome, texts=len(texts), seconds=self._clock() - began)
            self._end_window()
        return vectors

    def _end_window(self) -> None:
        """Forget old numbers of both backends at once."""
        if sum(metrics.snapshot().finished for metrics in self._metrics.values()) < self._policy.window:
            return
        for backend, metrics in self._metrics.items():
            counts = asdict(metrics.take())
            events.emit(events.EMBEDDER_WINDOW_ENDED, embedder=self.name, backend=backend.value, **counts)
