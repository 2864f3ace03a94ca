"""Tasks that outlive the call that started them, but not the LivingWorld."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from typing import Any, TypeVar

from livingworld.deadlines import without_deadline
from livingworld.errors import LivingWorldError
from livingworld.observability import instruments
from livingworld.observability.metrics import Metrics

T = TypeVar("T")


class BackgroundTasks:
    """The background tasks that are not over yet."""

    def __init__(self, context: Callable[[], Context] = without_deadline) -> None:
        """`context` makes the context of watching tasks, which serve other callers too."""
        self._context = context
        self._finishing: set[asyncio.Task[Any]] = set()
        self._watching: set[asyncio.Task[Any]] = set()

    def observe(self, metrics: Metrics) -> None:
        """Show how many there are."""
        metrics.observe(instruments.TASKS, lambda: len(self._finishing), "finishing")
        metrics.observe(instruments.TASKS, lambda: len(self._watching), "watching")

    def finish(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work that must reach its end, also when the caller is cancelled and when the LivingWorld closes."""
        return _start(work, self._finishing, without_deadline())

    def watch(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work that may be cancelled at any time."""
        return _start(work, self._watching, self._context())

    async def acquire(self, work: Coroutine[Any, Any, T], give_back: Callable[[T], Awaitable[object]]) -> T:
        """Return what `work` obtains; it comes to its end, and is given back for a caller that is cancelled meanwhile.

        A give-back that raises a LivingWorldError is no error: what was obtained then ends by itself.
        """
        obtaining = self.finish(work)
        try:
            return await asyncio.shield(obtaining)
        except asyncio.CancelledError:
            self.finish(_give_back(obtaining, give_back))
            raise

    async def close(self) -> None:
        """Cancel the watching tasks, wait for those that have to finish, and leave no task behind."""
        for task in self._watching:
            task.cancel()
        while left := self._finishing | self._watching:
            await asyncio.gather(*left, return_exceptions=True)
            # Since Python 3.12 gather does not wait for what is done, nor for its callbacks.
            self._finishing -= left
            self._watching -= left


def _start(work: Coroutine[Any, Any, T], tasks: set[asyncio.Task[Any]], context: Context) -> asyncio.Task[T]:
    task = asyncio.create_task(work, context=context)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


async def _give_back(obtaining: asyncio.Task[T], give_back: Callable[[T], Awaitable[object]]) -> None:
    await asyncio.wait([obtaining])
    if obtaining.exception() is None:
        with suppress(LivingWorldError):
            await give_back(obtaining.result())
