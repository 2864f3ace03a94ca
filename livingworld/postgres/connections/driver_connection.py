"""How a connection is opened: by asyncpg, without a word on standard error when the call is cancelled.

It knows the arrays of PostgreSQL's own types from the start.

asyncpg asks a server on TCP for TLS by a protocol of its own, whose future fails when the connection is lost. A call
that is cancelled or reaches its time limit at that moment never awaits the future, and asyncio would print its
exception on standard error: in `asyncpg.connect`, and in the connection that asyncpg opens to cancel a statement. Both
take their futures from the event loop that asyncpg is given, so it is given this one.
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from livingworld.postgres.connections.array_types import register_array_types


class QuietLoop:
    """The running event loop, except that the exception of a future counts as retrieved."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future whose exception reaches the task that awaits it, and is never printed."""
        future: asyncio.Future[Any] = self._loop.create_future()
        future.add_done_callback(_retrieve)
        return future

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of the loop
        return getattr(self._loop, name)


def _retrieve(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


async def open_connection(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - asyncpg.connect's own signature
    """Do as asyncpg.connect does."""
    loop: Any = QuietLoop(asyncio.get_running_loop())
    connection = await asyncpg.connect(*args, **{"loop": loop} | options)
    register_array_types(connection)
    return connection


async def request_cancel(connection: Any) -> None:  # noqa: ANN401 - asyncpg's connection
    """Have the server cancel what runs on a connection, by the protocol, which a pooler passes on; never raises."""
    await connection._cancel(asyncio.get_running_loop().create_future())  # noqa: SLF001 - asyncpg has no public way
