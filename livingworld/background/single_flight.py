"""Single flight: one computation for all who ask for the same thing at the same time.

The computation is a task of its own, which runs for as long as one asker waits for a part of it. So the first asker may
be cancelled like any other. Its outcome goes to those who wait then and is kept nowhere: an error is not remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from livingworld.errors import Closed
from livingworld.errors.base import own_copy

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
#: Gives the outcome of one key, which may be an error, to those who wait for it.
Land: TypeAlias = Callable[[K, V], None]
#: Computes several keys at once and lands each as soon as it is known.
Compute: TypeAlias = Callable[[Sequence[K], Land[K, V]], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Work(Generic[K, V]):
    """One computation: the keys that are not landed yet, and how many wait for any of them."""

    pending: dict[K, asyncio.Future[V]] = field(default_factory=dict)
    askers: int = 0
    task: asyncio.Task[None] | None = None


class SingleFlight(Generic[K, V]):
    """What is being computed now, by key."""

    def __init__(
        self,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        failed: Callable[[BaseException | None], V],
    ) -> None:
        """`start` makes a task that may be cancelled at any time.

        `failed` makes the outcome of keys that a computation did not land: of Closed when it was cancelled, of what it
        raised, or of None.
        """
        self._start = start
        self._failed = failed
        self._works: dict[K, _Work[K, V]] = {}

    def __len__(self) -> int:
        return len(self._works)

    async def get(self, keys: Collection[K], compute: Compute[K, V]) -> dict[K, V]:
        """Return the outcome of each key; computes those that are not under way.

        Cancelled, it leaves the work to the other askers; the last one to leave cancels it.
        """
        works = self._join(dict.fromkeys(keys), compute)
        pending = {key: works[key].pending[key] for key in works}
        for work in set(works.values()):
            work.askers += 1
        try:
            if pending:
                await asyncio.wait(pending.values())
        finally:
            for work in set(works.values()):
                self._leave(work)
        return {key: _own(outcome.result()) for key, outcome in pending.items()}

    def launch(self, keys: Collection[K], compute: Compute[K, V]) -> None:
        """Compute what is not under way, to the end even when no asker is left."""
        for work in set(self._join(keys, compute).values()):
            work.askers += 1

    async def close(self) -> None:
        """Cancel what is under way and wait until it is over; those who wait get Closed."""
        tasks = {work.task for work in self._works.values() if work.task is not None}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _join(self, keys: Collection[K], compute: Compute[K, V]) -> dict[K, _Work[K, V]]:
        """Return the computation of each key; there is no await between looking and starting."""
        missing = [key for key in keys if key not in self._works]
        if missing:
            work = _Work[K, V]()
            loop = asyncio.get_running_loop()
            for key in missing:
                work.pending[key] = loop.create_future()
                self._works[key] = work
            work.task = self._start(_run(compute, missing, partial(self._land, work)))
            work.task.add_done_callback(partial(self._end, work))  # also for one that is cancelled before it began
        return {key: self._works[key] for key in keys}

    def _land(self, work: _Work[K, V], key: K, outcome: V) -> None:
        pending = work.pending.pop(key, None)
        if pending is None:
            return
        pending.set_result(outcome)
        self._forget(work, key)

    def _forget(self, work: _Work[K, V], key: K) -> None:
        if self._works.get(key) is work:  # after a cancellation another computation may have started
            del self._works[key]

    def _leave(self, work: _Work[K, V]) -> None:
        work.askers -= 1
        if work.askers or not work.pending:
            return
        for key in work.pending:
            self._forget(work, key)
        if work.task is not None:
            work.task.cancel()

    def _end(self, work: _Work[K, V], task: asyncio.Task[None]) -> None:
        error = Closed() if task.cancelled() else task.exception()
        for key in list(work.pending):
            self._land(work, key, self._failed(error))


async def _run(compute: Compute[K, V], keys: Sequence[K], land: Land[K, V]) -> None:
    await compute(keys, land)


def _own(outcome: V) -> V:
    return own_copy(outcome) if isinstance(outcome, BaseException) else outcome
