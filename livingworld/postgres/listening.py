"""The one connection of a process that listens: opened when somebody wants to hear, opened again when it is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from livingworld.observability import events
from livingworld.postgres.connections.driver_errors import DRIVER_EXCEPTIONS

#: Opens a connection of asyncpg's own.
Connect = Callable[[], Awaitable[Any]]

_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 5.0
#: A peer that has vanished is found by a statement in so many seconds.
_PING_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 2.0


class Listening:
    """Hears a channel for as long as it runs."""

    def __init__(
        self, connect: Connect, channel: str, heard: Callable[[str], None], missed: Callable[[], None]
    ) -> None:
        """`heard` gets each payload; `missed` is called when something may have been told to nobody."""
        self._connect = connect
        self._channel = channel
        self._heard = heard
        self._missed = missed

    async def run(self) -> None:
        """Listen until cancelled; a server that is away is asked again, less and less often."""
        wait = _FIRST_WAIT_SECONDS
        lost = False
        while True:
            with suppress(*DRIVER_EXCEPTIONS):
                connection = await self._connect()
                try:
                    await self._listen(connection)
                    if lost:
                        events.emit(events.NOTIFICATIONS_RESTORED)
                    lost, wait = False, _FIRST_WAIT_SECONDS
                    await self._until_lost(connection)
                finally:
                    await _close(connection)
            if not lost:
                events.emit(events.NOTIFICATIONS_LOST)
            lost = True
            await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - no secret
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)

    async def _listen(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg's connection
        await connection.add_listener(self._channel, lambda *told: self._heard(told[-1]))
        self._missed()

    async def _until_lost(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg's connection
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        while not connection.is_closed():
            try:
                async with asyncio.timeout(_PING_SECONDS):
                    await ended.wait()
            except TimeoutError:
                await connection.execute("SELECT 1", timeout=_PING_SECONDS)


async def _close(connection: Any) -> None:  # noqa: ANN401 - asyncpg's connection
    """Close, or cut when the server does not answer or nobody has the time; a failure never hides a cancellation."""
    try:
        await connection.close(timeout=_CLOSE_SECONDS)
    except DRIVER_EXCEPTIONS:
        connection.terminate()
    except asyncio.CancelledError:
        connection.terminate()
        raise
