"""Work that is cut short when something happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


class WatchedEvent(asyncio.Event):
    """An event that also calls functions when it is set: a task that waits for it costs more."""

    def __init__(self) -> None:
        super().__init__()
        self._watchers: list[Callable[[], None]] = []

    def set(self) -> None:
        """Set the event, and call those who watch."""
        super().set()
        for watcher in tuple(self._watchers):
            watcher()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have a function called when the event is set; soon, where it is set already. It never raises."""
        self._watchers.append(watcher)
        if self.is_set():
            asyncio.get_running_loop().call_soon(watcher)

    def forget(self, watcher: Callable[[], None]) -> None:
        """Call the function no more."""
        self._watchers.remove(watcher)


async def run_unless(work: Awaitable[T], ends: Mapping[WatchedEvent, Callable[[], Exception]]) -> T:
    """Return the result of `work`; when an event is set, cancel it, wait for its end, and raise the event's error."""
    task = asyncio.ensure_future(work)
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(_: object = None) -> None:
        if not over.done():
            over.set_result(None)

    task.add_done_callback(end)
    for event in ends:
        event.watch(end)
    try:
        await over
        if task.done():
            return task.result()
    finally:
        for event in ends:
            event.forget(end)
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    raise next(error() for event, error in ends.items() if event.is_set())
