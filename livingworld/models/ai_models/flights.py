"""One piece of work for all who ask for it at the same time, and nobody who asks owns it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, TypeVar, cast

from livingworld.errors import Closed
from livingworld.errors.base import own_copy

T = TypeVar("T")


class Flights:
    """What is under way now, by key. An error is told to those who wait then, and is not remembered."""

    def __init__(self, start: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]) -> None:
        self._start = start
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    async def join(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what the work brings, begun here unless it is under way; who is cancelled leaves it to the others."""
        task = self.launch(key, work)
        await asyncio.wait([task])
        if task.cancelled():
            raise Closed
        if (error := task.exception()) is not None:
            raise own_copy(error)
        return cast("T", task.result())

    def launch(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        """Begin the work unless it is under way; no await is between the look and the beginning."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = self._start(work())
            task.add_done_callback(partial(self._end, key))
        return task

    async def close(self) -> None:
        """Cancel what is under way and wait until it is over."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # it was heard, also when nobody waits any more
