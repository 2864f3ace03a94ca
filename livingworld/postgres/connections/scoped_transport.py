"""Settings of one transaction, sent in the same packet as its first statement: no round trip of their own.

Everything that a client sends before the next Sync message is one transaction to PostgreSQL. asyncpg sends a Sync with
each statement and has no way to put another statement before it. So its transport is wrapped: a packet that begins a
statement gets the messages of a `set_config(..., true)` in front of it. That one returns no row, and asyncpg passes
over its answers. Where it is ever not sent, an isolated database refuses the statement: see story/worlds/isolation.py.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from livingworld.postgres.connections.driver_connection import QuietLoop, open_connection

WORLD: Final = "livingworld.world_id"
TENANT: Final = "livingworld.tenant"
#: No row: asyncpg would take one for a row of the statement that follows.
SET_AHEAD: Final = "SELECT WHERE {} IS NULL".format(
    " || ".join(f"set_config('{name}', ${number}, true)" for number, name in enumerate((WORLD, TENANT), 1))
)
_NAME: Final = "livingworld_scope"
_BIND: Final = ord("B")
_PARSE: Final = ord("P")


class ScopedTransport:
    """A transport that can send messages ahead of the next statement."""

    #: What asyncpg prepared; it is closed when nothing holds it.
    prepared: object = None

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._ahead = b""
        self._is_for_one = False
        self._is_parsed = False

    def scope(self, values: Sequence[str], *, once: bool = False) -> None:
        """Send both settings ahead of each statement from now on, or only of the next, whose transaction goes on."""
        self._ahead = _messages(values, prepared=self.prepared is not None)
        self._is_for_one, self._is_parsed = once, False

    def forget(self) -> None:
        """Send nothing ahead any more."""
        self._ahead = b""

    def write(self, data: Any) -> None:  # noqa: ANN401 - bytes or a view
        """Send a packet."""
        self.transport.write(self._with_scope(data) if self._ahead else data)

    def writelines(self, packets: list[Any]) -> None:
        """Send packets."""
        if self._ahead and packets:
            packets = [self._with_scope(packets[0]), *packets[1:]]
        self.transport.writelines(packets)

    def _with_scope(self, data: Any) -> Any:  # noqa: ANN401 - bytes or a view
        kind = data[0]
        if kind == _PARSE and int.from_bytes(data[1:5]) == len(data) - 1:  # a Bind of the same statement follows
            self._is_parsed = True
        elif kind != _BIND:
            return data
        elif self._is_parsed:
            self._is_parsed = False
            return data
        ahead = self._ahead
        if self._is_for_one:
            self._ahead = b""
        return ahead + bytes(data)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of the transport
        return getattr(self.transport, name)


class _Loop(QuietLoop):
    """The running event loop, whose transports can send something ahead."""

    async def create_connection(self, factory: Callable[[], Any], *args: Any, **options: Any) -> Any:  # noqa: ANN401
        return await _connected(self._loop.create_connection, factory, *args, **options)

    async def create_unix_connection(self, factory: Callable[[], Any], *args: Any) -> Any:  # noqa: ANN401
        return await _connected(self._loop.create_unix_connection, factory, *args)

    async def start_tls(self, transport: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - asyncio's own
        above = await self._loop.start_tls(transport.transport, *args, **options)
        return None if above is None else ScopedTransport(above)


async def _connected(
    connect: Callable[..., Awaitable[Any]],
    factory: Callable[[], Any],
    *args: Any,  # noqa: ANN401 - asyncio's own
    **options: Any,  # noqa: ANN401
) -> tuple[ScopedTransport, Any]:
    """Connect a protocol that is given a wrapped transport."""
    wrapped: list[ScopedTransport] = []

    def make() -> Any:  # noqa: ANN401 - asyncpg's protocol
        protocol = factory()

        def made(transport: asyncio.Transport) -> None:
            del protocol.connection_made
            wrapped.append(ScopedTransport(transport))
            protocol.connection_made(wrapped[0])

        protocol.connection_made = made
        return protocol

    _, protocol = await connect(make, *args, **options)
    return wrapped[0], protocol


async def open_scoped(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - asyncpg.connect's own signature
    """Do as asyncpg.connect does, for a connection that takes a `scope`."""
    connection = await open_connection(*args, loop=_Loop(asyncio.get_running_loop()), **options)
    if options.get("statement_cache_size") != 0:
        try:
            transport_of(connection).prepared = await _prepared(connection)
        except BaseException:  # cancelled, for one: nobody else knows the connection
            connection.terminate()
            raise
    return connection


async def _prepared(connection: Any) -> object:  # noqa: ANN401 - asyncpg's connection
    """Prepare what goes ahead of statements.

    asyncpg prepares without a Sync: until the next statement the connection is in a transaction, which has a snapshot
    already and, while it is idle in the pool, reaches the time limit of a statement. So the statement is run once.
    """
    prepared: Any = await connection.prepare(SET_AHEAD, name=_NAME)
    await prepared.fetch("", "")
    return prepared


def transport_of(connection: Any) -> ScopedTransport:  # noqa: ANN401 - asyncpg's connection
    """Return the transport of a connection that `open_scoped` opened."""
    return connection._transport  # type: ignore[no-any-return]  # noqa: SLF001 - asyncpg has no public way


def _messages(values: Sequence[str], *, prepared: bool) -> bytes:
    """Return the messages Parse, where it is not prepared, Bind and Execute of the statement with these values."""
    name = _NAME.encode() if prepared else b""
    given = [value.encode() for value in values]
    parameters = b"".join(struct.pack("!i", len(value)) + value for value in given)
    bind = b"\0" + name + b"\0" + struct.pack("!hh", 0, len(given)) + parameters + struct.pack("!h", 0)
    parse = b"" if prepared else _message(b"P", b"\0" + SET_AHEAD.encode() + b"\0" + struct.pack("!h", 0))
    return parse + _message(b"B", bind) + _message(b"E", b"\0" + struct.pack("!i", 0))


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body
