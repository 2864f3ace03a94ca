"""One computation for all who ask for the same thing at the same time.

Nobody who asks owns the computation: it is a task of its own that runs for as long as anybody waits for a part of it.
So the first asker may be cancelled like any other. What it brought is told to those who wait then and is kept nowhere:
an error is not remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from livingworld.errors import Closed, EmbeddingFailed, LivingWorldError
from livingworld.errors.base import own_copy
from livingworld.models.embeddings.failures import named_failure

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
#: Tells what became of one key.
Land: TypeAlias = Callable[[K, V | LivingWorldError], None]
#: Computes several keys at once and lands each as soon as it is known.
Compute: TypeAlias = Callable[[Sequence[K], Land[K, V]], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Work(Generic[K, V]):
    """One computation: the keys that are not landed yet, and how many wait for any of them."""

    flights: dict[K, asyncio.Future[V | LivingWorldError]] = field(default_factory=dict)
    askers: int = 0
    task: asyncio.Task[None] | None = None


class SingleFlight(Generic[K, V]):
    """What is being computed now, by key."""

    def __init__(self, start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]) -> None:
        """`start` makes a task that may be cancelled at any time; those who wait are then told Closed."""
        self._start = start
        self._in_flight: dict[K, _Work[K, V]] = {}

    def __len__(self) -> int:
        return len(self._in_flight)

    async def get(self, keys: Collection[K], compute: Compute[K, V]) -> dict[K, V | LivingWorldError]:
        """Return the value of each key, or the error that it ended with; computes those that nobody computes yet.

        Cancelled, it leaves the work to those who wait too; the last one to leave cancels it.
        """
        works = self._board(dict.fromkeys(keys), compute)
        flights = {key: works[key].flights[key] for key in works}
        for work in set(works.values()):
            work.askers += 1
        try:
            if flights:
                await asyncio.wait(flights.values())
        finally:
            for work in set(works.values()):
                self._leave(work)
        return {key: _own(flight.result()) for key, flight in flights.items()}

    def _board(self, keys: Collection[K], compute: Compute[K, V]) -> dict[K, _Work[K, V]]:
        """Return who computes each key; there is no await between looking and starting."""
        missing = [key for key in keys if key not in self._in_flight]
        if missing:
            work = _Work[K, V]()
            loop = asyncio.get_running_loop()
            for key in missing:
                work.flights[key] = loop.create_future()
                self._in_flight[key] = work
            work.task = self._start(_run(compute, missing, partial(self._land, work)))
            work.task.add_done_callback(partial(self._end, work))  # also for one that is cancelled before it began
        return {key: self._in_flight[key] for key in keys}

    def _land(self, work: _Work[K, V], key: K, outcome: V | LivingWorldError) -> None:
        flight = work.flights.pop(key, None)
        if flight is None:
            return
        flight.set_result(outcome)
        self._forget(work, key)

    def _forget(self, work: _Work[K, V], key: K) -> None:
        if self._in_flight.get(key) is work:  # after a cancellation somebody may have started anew
            del self._in_flight[key]

    def _leave(self, work: _Work[K, V]) -> None:
        work.askers -= 1
        if work.askers or not work.flights:
            return
        for key in work.flights:
            self._forget(work, key)
        if work.task is not None:
            work.task.cancel()

    def _end(self, work: _Work[K, V], task: asyncio.Task[None]) -> None:
        error = Closed() if task.cancelled() else named_failure(task.exception() or EmbeddingFailed())
        for key in list(work.flights):
            self._land(work, key, error)


async def _run(compute: Compute[K, V], keys: Sequence[K], land: Land[K, V]) -> None:
    await compute(keys, land)


def _own(outcome: V | LivingWorldError) -> V | LivingWorldError:
    return own_copy(outcome) if isinstance(outcome, LivingWorldError) else outcome
