"""Something that is done again and again while a block runs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

from livingworld.errors import LivingWorldError
from livingworld.observability import events

#: Pauses differ by so much, so that processes started together do not come back together.
_JITTER: Final = 0.25


@asynccontextmanager
async def running(name: str, run_once: Callable[[], Awaitable[int]], *, every: timedelta) -> AsyncIterator[None]:
    """Call `run_once` while the block runs: at once again when it did something, else after a pause of about `every`.

    What livingworld raises in it is logged, and it is called again after the pause; anything else ends the block, and
    comes out of it. It is cancelled when the block ends. What the block itself raises comes out unchanged.
    """
    reason: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            service = group.create_task(_again_and_again(name, run_once, every))
            try:
                yield
            except BaseException as error:
                reason = error
                raise
            finally:
                await _stop(service)
    except BaseExceptionGroup as together:
        failure: BaseException = together.exceptions[0]
        if reason is not None and reason in together.exceptions:
            failure = reason
    else:
        return
    raise failure


async def _stop(service: asyncio.Task[None]) -> None:
    service.cancel()
    with suppress(asyncio.CancelledError):
        await service


async def _again_and_again(name: str, run_once: Callable[[], Awaitable[int]], every: timedelta) -> None:
    service = asyncio.current_task()
    while service is None or not service.cancelling():  # also when what it calls has swallowed the cancellation
        try:
            done = await run_once()
        except LivingWorldError as error:
            events.emit(events.SERVICE_FAILED, service=name, error=type(error).__name__)
            done = 0
        if not done:
            factor = 1 + random.uniform(-_JITTER, _JITTER)  # noqa: S311 - no secret
            await asyncio.sleep(every.total_seconds() * factor)
