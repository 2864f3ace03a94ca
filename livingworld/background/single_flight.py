"""Single flight: one computation for all callers that ask for the same key at the same time.

The computation is a task of its own, which runs while at least one caller waits for a part of it. So the first caller
may be cancelled like any other one. The outcome goes to the waiting callers and is not kept: an error is not cached.
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
#: Delivers the outcome of one key, which may be an error, to the waiting callers.
Deliver: TypeAlias = Callable[[K, V], None]
#: Computes several keys at once and delivers each outcome as soon as it is known.
Compute: TypeAlias = Callable[[Sequence[K], Deliver[K, V]], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Work(Generic[K, V]):
    """One computation: the keys without an outcome, and the number of callers that wait for any of them."""

    pending: dict[K, asyncio.Future[V]] = field(default_factory=dict)
    callers: int = 0
    task: asyncio.Task[None] | None = None


class SingleFlight(Generic[K, V]):
    """The computations in progress, by key."""

    def __init__(
        self,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        failed: Callable[[BaseException | None], V],
    ) -> None:
        """`start` makes a task that may be cancelled at any time.

        `failed` makes the outcome of keys that a computation did not deliver: from Closed when it was cancelled, from
        its error, or from None.
        """
        self._start = start
        self._failed = failed
        self._works: dict[K, _Work[K, V]] = {}

    def __len__(self) -> int:
        return len(self._works)

    async def get(self, keys: Collection[K], compute: Compute[K, V]) -> dict[K, V]:
        """Return the outcome of each key; computes the keys that are not in progress.

        A cancelled caller leaves the work to the other ones; the last one to leave cancels it.
        """
        works = self._join(dict.fromkeys(keys), compute)
        pending = {key: works[key].pending[key] for key in works}
        for work in set(works.values()):
            work.callers += 1
        try:
            if pending:
                await asyncio.wait(pending.values())
        finally:
            for work in set(works.values()):
                self._leave(work)
        return {key: _own(outcome.result()) for key, outcome in pending.items()}

    def launch(self, keys: Collection[K], compute: Compute[K, V]) -> None:
        """Compute the keys that are not in progress, to the end even without a waiting caller."""
        for work in set(self._join(keys, compute).values()):
            work.callers += 1

    async def close(self) -> None:
        """Cancel all computations and wait for their end; the waiting callers get Closed."""
        tasks = {work.task for work in self._works.values() if work.task is not None}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _join(self, keys: Collection[K], compute: Compute[K, V]) -> dict[K, _Work[K, V]]:
        """Return the computation of each key; there is no await between the look-up and the start."""
        missing = [key for key in keys if key not in self._works]
        if missing:
            work = _Work[K, V]()
            loop = asyncio.get_running_loop()
            for key in missing:
                work.pending[key] = loop.create_future()
                self._works[key] = work
            work.task = self._start(_run(compute, missing, partial(self._deliver, work)))
            work.task.add_done_callback(partial(self._end, work))  # also for a task that is cancelled before it starts
        return {key: self._works[key] for key in keys}

    def _deliver(self, work: _Work[K, V], key: K, outcome: V) -> None:
        pending = work.pending.pop(key, None)
        if pending is None:
            return
        pending.set_result(outcome)
        self._forget(work, key)

    def _forget(self, work: _Work[K, V], key: K) -> None:
        if self._works.get(key) is work:  # after a cancellation another computation may have started
            del self._works[key]

    def _leave(self, work: _Work[K, V]) -> None:
        work.callers -= 1
        if work.callers or not work.pending:
            return
        for key in work.pending:
            self._forget(work, key)
        if work.task is not None:
            work.task.cancel()

    def _end(self, work: _Work[K, V], task: asyncio.Task[None]) -> None:
        error = Closed() if task.cancelled() else task.exception()
        for key in list(work.pending):
            self._deliver(work, key, self._failed(error))


async def _run(compute: Compute[K, V], keys: Sequence[K], deliver: Deliver[K, V]) -> None:
    await compute(keys, deliver)


def _own(outcome: V) -> V:
    return own_copy(outcome) if isinstance(outcome, BaseException) else outcome
