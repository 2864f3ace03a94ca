"""The one listening connection of a process: opened for the first subscription, and again when it is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

from livingworld.observability import events
from livingworld.postgres.driver_errors.failures import DRIVER_EXCEPTIONS

#: Opens a connection of asyncpg's own.
Connect = Callable[[], Awaitable[Any]]

_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 5.0
#: A peer that has vanished is detected by a statement after this time.
_PING_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 2.0


class Listening:
    """Listens on a channel while it runs."""

    def __init__(
        self, connect: Connect, channel: str, receive: Callable[[str], None], wake_all: Callable[[], None]
    ) -> None:
        """`receive` gets each payload; `wake_all` is called when notifications begin to arrive, and when they stop."""
        self._connect = connect
        self._channel = channel
        self._receive = receive
        self._wake_all = wake_all
        #: Whether notifications arrive, as far as this process knows.
        self.is_connected = False

    async def run(self) -> None:
        """Listen until cancelled; while the server is away, connect again after growing pauses.

        It never gives up, since polling replaces it meanwhile; the loss is logged once, and the return.
        """
        wait = _FIRST_WAIT_SECONDS
        lost = False
        while True:
            error = await self._listen_once(restored=lost)
            if self.is_connected:
                lost, wait = False, _FIRST_WAIT_SECONDS
                self.is_connected = False
                self._wake_all()
            if not lost:
                events.emit(events.NOTIFICATIONS_LOST, error=error)
            lost = True
            await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - no secret
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)

    async def _listen_once(self, *, restored: bool) -> str:
        """Connect and listen until the connection is lost; return the name of the error that ended it."""
        try:
            connection = await self._connect()
            try:
                await self._listen(connection)
                if restored:
                    events.emit(events.NOTIFICATIONS_RESTORED)
                await self._until_lost(connection)
            finally:
                await _close(connection)
        except Exception as error:  # noqa: BLE001 - whatever it is, a process without notifications polls
            return type(error).__name__
        return "ConnectionLost"

    async def _listen(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg's connection
        await connection.add_listener(self._channel, lambda *notification: self._receive(notification[-1]))
        self.is_connected = True
        self._wake_all()

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
    """Close, or cut when the server does not answer or the task is cancelled; a failure never hides a cancellation."""
    try:
        await connection.close(timeout=_CLOSE_SECONDS)
    except DRIVER_EXCEPTIONS:
        connection.terminate()
    except asyncio.CancelledError:
        connection.terminate()
        raise
