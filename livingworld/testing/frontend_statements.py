"""The statement that a message of a PostgreSQL client runs: the part of the protocol that a proxy has to parse."""

from __future__ import annotations

import struct
from asyncio import StreamReader
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Message:
    """One message of either side, after the startup."""

    kind: bytes
    body: bytes

    def encode(self) -> bytes:
        """Return the message as it is sent."""
        return self.kind + struct.pack("!i", len(self.body) + 4) + self.body


async def read_message(reader: StreamReader) -> Message:
    """Return the next message; raises IncompleteReadError when the other side has closed."""
    kind, length = struct.unpack("!ci", await reader.readexactly(5))
    return Message(kind, await reader.readexactly(length - 4))


async def read_startup(reader: StreamReader) -> tuple[int, bytes]:
    """Return the code and the bytes of a startup message, which has no kind."""
    start = await reader.readexactly(8)
    length, code = struct.unpack("!ii", start)
    return code, start + await reader.readexactly(length - 8)


@dataclass(slots=True)
class FrontendStatements:
    """The prepared statements and portals of one connection."""

    _prepared: dict[bytes, str] = field(default_factory=dict)
    _portals: dict[bytes, str] = field(default_factory=dict)

    def run_by(self, message: Message) -> str | None:
        """Return the SQL that this message runs, or None when it runs nothing."""
        first, _, rest = message.body.partition(b"\0")
        match message.kind:
            case b"Q":
                return first.decode()
            case b"P":
                self._prepared[first] = rest.partition(b"\0")[0].decode()
            case b"B":
                self._portals[first] = self._prepared.get(rest.partition(b"\0")[0], "")
            case b"E":
                return self._portals.get(first, "")
        return None
