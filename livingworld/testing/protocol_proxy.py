"""A proxy in front of PostgreSQL that causes a fault exactly before, or exactly after, one statement.

    async with protocol_proxy(database_url) as proxy, LivingWorld.open(database_url=proxy.url) as livingworld:
        proxy.at(Moment.AFTER, "COMMIT;", cut)  # committed, and the client never gets the answer
        ...

"After" means that the server has executed the statement and its answer has not been passed on.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from livingworld.postgres.connections.scoped_transport import SET_AHEAD
from livingworld.settings.database_url import parse_url
from livingworld.testing.frontend_statements import FrontendStatements, Message, read_message, read_startup
from livingworld.testing.staged_races import connection_arguments

_TLS_REQUESTS: Final = frozenset({80877103, 80877104})
_CANCEL_REQUEST: Final = 80877102
_NO: Final = b"N"
_GONE: Final = (OSError, IncompleteReadError)


class Moment(Enum):
    """Whether a fault happens before or after its statement."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(slots=True)
class Fault:
    """A fault that happens once, at one statement."""

    text: str
    nth: int
    moment: Moment
    act: Callable[[ProxiedConnection], Awaitable[None]]
    #: Set when the statement was reached, before `act` runs.
    happened: asyncio.Event = field(default_factory=asyncio.Event)

    def meets(self, statement: str) -> bool:
        """Return whether the fault is due at this statement; counts the matching ones before it."""
        if self.happened.is_set() or self.text not in statement:
            return False
        self.nth -= 1
        return self.nth == 0


async def cut(connection: ProxiedConnection) -> None:
    """End the connection on both sides, without a message to either."""
    connection.abort()


class ProxiedConnection:
    """One client's connection, message by message."""

    def __init__(self, proxy: ProtocolProxy, client: tuple[StreamReader, StreamWriter]) -> None:
        self._proxy = proxy
        self._from_client, self._to_client = client
        self._statements = FrontendStatements()
        #: The fault whose answer is held back.
        self._awaited: Fault | None = None
        #: The process that serves it.
        self.backend_pid = 0

    def abort(self) -> None:
        """End the connection on both sides."""
        self._to_client.transport.abort()
        self._to_server.transport.abort()

    async def serve(self) -> None:
        """Pass messages on until one side has ended."""
        code, startup = await self._startup()
        self._from_server, self._to_server = await self._proxy.connect()
        try:
            self._to_server.write(startup)
            if code != _CANCEL_REQUEST:
                await asyncio.gather(self._pump(self._upstream()), self._pump(self._downstream()))
        finally:
            self._to_server.close()

    async def _startup(self) -> tuple[int, bytes]:
        code, startup = await read_startup(self._from_client)
        await self._proxy.flowing.wait()
        if code not in _TLS_REQUESTS:
            return code, startup
        self._to_client.write(_NO)
        return await self._startup()

    async def _pump(self, messages: Awaitable[None]) -> None:
        with contextlib.suppress(*_GONE):
            await messages
        self._to_client.close()
        self._to_server.close()

    async def _upstream(self) -> None:
        while True:
            message = await read_message(self._from_client)
            if (statement := self._statements.run_by(message)) is not None:
                await self._meet(self._proxy.met(statement))
            await self._pass(message, self._to_server)

    async def _meet(self, fault: Fault | None) -> None:
        if fault is None:
            return
        fault.happened.set()
        if fault.moment is Moment.BEFORE:
            await fault.act(self)
        else:
            self._awaited = fault

    async def _downstream(self) -> None:
        held: list[Message] = []
        while True:
            message = await read_message(self._from_server)
            if message.kind == b"K":
                self.backend_pid = int.from_bytes(message.body[:4])
            held.append(message)
            if self._awaited is not None:
                if message.kind != b"Z":
                    continue
                fault, self._awaited = self._awaited, None
                await fault.act(self)
            for each in held:
                await self._pass(each, self._to_client)
            held.clear()

    async def _pass(self, message: Message, writer: StreamWriter) -> None:
        await self._proxy.flowing.wait()
        writer.write(message.encode())
        await writer.drain()


class ProtocolProxy:
    """Passes every message on, except for the faults that are set."""

    def __init__(self, upstream_url: str) -> None:
        self._upstream = connection_arguments(upstream_url)
        self._faults: list[Fault] = []
        #: Where clients connect; set once the proxy listens.
        self.url = upstream_url
        #: Every statement that a client ran, BEGIN and COMMIT included.
        self.statements: list[str] = []
        #: While this is cleared no message passes, without an error: a network that lost its cable.
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._serving: set[asyncio.Task[None]] = set()
        self._listening: socket.socket | None = None

    def at(
        self,
        moment: Moment,
        text: str,
        act: Callable[[ProxiedConnection], Awaitable[None]] = cut,
        *,
        nth: int = 1,
    ) -> Fault:
        """Run `act` at the nth statement from now that contains `text`; then go on, if the connection still lives."""
        fault = Fault(text, nth, moment, act)
        self._faults.append(fault)
        return fault

    def forget(self) -> None:
        """Remove the faults that have not happened."""
        self._faults.clear()

    def met(self, statement: str) -> Fault | None:
        """Note a statement and return the fault that is due at it."""
        if statement == SET_AHEAD:  # it travels with another one
            return None
        self.statements.append(statement)
        due = [fault for fault in self._faults if fault.meets(statement)]
        for fault in due:
            self._faults.remove(fault)
        return due[0] if due else None

    async def listen(self) -> None:
        """Accept clients on a port of 127.0.0.1."""
        # Not asyncio.start_server: one that closes forgets a client that it has just accepted (Python 3.11 to 3.13).
        self._listening = listening = socket.create_server(("127.0.0.1", 0))
        listening.settimeout(0)
        asyncio.get_running_loop().add_reader(listening, self._accept, listening)
        reached = parse_url(self.url).set(host="127.0.0.1", port=listening.getsockname()[1], query={})
        self.url = reached.render_as_string(hide_password=False)

    async def close(self) -> None:
        """Close for good: accept no new client, and cut off the connected ones; again does nothing."""
        listening, self._listening = self._listening, None
        if listening is not None:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        await asyncio.sleep(0)  # a task that is cancelled before its first step would keep its client open
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def connect(self) -> tuple[StreamReader, StreamWriter]:
        """Open a connection to the server."""
        host, port = self._upstream["host"] or "localhost", self._upstream["port"]
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client has gone again
            client, _ = listening.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as asyncio does for those that it accepts
            self._serving.add(task := asyncio.create_task(self._serve(client)))
            task.add_done_callback(self._serving.discard)

    async def _serve(self, client: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=client)
        try:
            with contextlib.suppress(*_GONE):
                await ProxiedConnection(self, (reader, writer)).serve()
        finally:
            writer.close()


@asynccontextmanager
async def protocol_proxy(url: str) -> AsyncIterator[ProtocolProxy]:
    """Yield a proxy in front of the database of an SQLAlchemy URL; connections through it end with the block.

    It speaks no TLS, on either side.
    """
    proxy = ProtocolProxy(url)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()
