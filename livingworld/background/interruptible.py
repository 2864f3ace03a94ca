"""Work that is cut short when something happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


async def run_unless(work: Awaitable[T], ends: Mapping[asyncio.Event, Callable[[], Exception]]) -> T:
    """Return the result of `work`; when an event is set, cancel it, wait for its end, and raise the event's error."""
    task = asyncio.ensure_future(work)
    waits = [asyncio.ensure_future(event.wait()) for event in ends]
    try:
        await asyncio.wait((task, *waits), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
    finally:
        for each in (task, *waits):
            each.cancel()
        await asyncio.gather(task, return_exceptions=True)
    raise next(error() for event, error in ends.items() if event.is_set())
