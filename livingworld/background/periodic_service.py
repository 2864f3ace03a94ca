"""A function that is called again and again while a block runs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

from livingworld.errors import LivingWorldError
from livingworld.observability import events, instruments
from livingworld.observability.metrics import Metrics

#: Pauses vary by this share, so that processes that start together spread out.
_JITTER: Final = 0.25


@asynccontextmanager
async def running(
    name: str, run_once: Callable[[], Awaitable[int]], *, every: timedelta, metrics: Metrics
) -> AsyncIterator[None]:
    """Call `run_once` while the block runs: again at once when it did something, else after a pause of about `every`.

    An error of livingworld is logged, and the service goes on after the pause; any other error ends the block and comes
    out of it. The service is cancelled when the block ends. An error of the block itself comes out unchanged.
    """
    reason: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            service = group.create_task(_repeat(name, run_once, every, metrics))
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


async def _repeat(name: str, run_once: Callable[[], Awaitable[int]], every: timedelta, metrics: Metrics) -> None:
    service = asyncio.current_task()
    while service is None or not service.cancelling():  # also when `run_once` swallowed the cancellation
        try:
            done = await run_once()
            metrics.add(instruments.SERVICE_ROUNDS, 1, name, "worked" if done else "idle")
        except LivingWorldError as error:
            events.emit(events.SERVICE_FAILED, service=name, error=type(error).__name__)
            metrics.add(instruments.SERVICE_ROUNDS, 1, name, "failed")
            done = 0
        if not done:
            factor = 1 + random.uniform(-_JITTER, _JITTER)  # noqa: S311 - no secret
            await asyncio.sleep(every.total_seconds() * factor)
