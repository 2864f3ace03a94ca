"""How a test waits: for a cause, and so long that only what never comes is a failure.

A machine that has other things to do may take many seconds for what takes milliseconds elsewhere. So nothing here is a
measure of speed, and `tests/unit/test_waiting.py` asks for a reason where a test waits in another way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

#: Below the time limit of a test, which tells more when several waits come together.
PATIENCE: Final = timedelta(seconds=60)
#: Polling, or a lease that is not renewed, would take so long that no test sees it: what comes in time was told.
NEVER: Final = timedelta(hours=5)
#: How often is looked for what tells no event.
_PAUSE_SECONDS: Final = 0.005


def patiently(patience: timedelta = PATIENCE) -> asyncio.Timeout:
    """Give what has to come in the block enough time, and an end."""
    return asyncio.timeout(patience.total_seconds())


async def until(happened: Callable[[], Awaitable[Any] | Any], *, unless: asyncio.Future[Any] | None = None) -> None:
    """Look until something is so; when the task that brings it about is over before, its error is the test's."""
    async with patiently():
        while not await _seen(happened):
            if unless is not None and unless.done():
                message = f"it ended before that: {unless.result()!r}"
                raise AssertionError(message)
            await asyncio.sleep(_PAUSE_SECONDS)


async def _seen(happened: Callable[[], Awaitable[Any] | Any]) -> object:
    found = happened()
    return await found if isinstance(found, Awaitable) else found
