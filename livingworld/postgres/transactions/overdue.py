"""A statement that takes too long is cancelled by the server, whose answer says for certain how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from livingworld.deadlines import without_deadline

#: Cancels the statement that runs on a connection of asyncpg's; never raises.
CancelSession = Callable[[Any], Awaitable[None]]


@asynccontextmanager
async def cancelled_when_overdue(
    driver_connection: Any,  # noqa: ANN401 - asyncpg's
    overdue: timedelta,
    cancel_session: CancelSession,
) -> AsyncIterator[None]:
    """Have the statement in the block cancelled after `overdue`."""
    cancelling: list[asyncio.Task[None]] = []

    async def cancel() -> None:
        await cancel_session(driver_connection)

    def begin() -> None:
        cancelling.append(asyncio.create_task(cancel(), context=without_deadline()))

    timer = asyncio.get_running_loop().call_later(overdue.total_seconds(), begin)
    try:
        yield
    finally:
        timer.cancel()
        # The connection is not given back while the signal may still come: it would hit another statement.
        await asyncio.gather(*cancelling)
