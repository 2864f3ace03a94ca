"""How new a read has to be: a position in the write-ahead log, or a row that has to be there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from livingworld.errors import InvalidInput

_TOKEN: Final = re.compile(r"([0-9A-F]{1,8})/([0-9A-F]{1,8})/([0-9A-F]{1,8})")
_HEXADECIMAL: Final = 16


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the write-ahead log. Positions of two timelines cannot be compared: a failover lies between them."""

    timeline: int
    #: In bytes.
    offset: int

    @classmethod
    def of(cls, timeline: str, lsn: str) -> Self:
        """Return the position that PostgreSQL writes as two texts: a timeline, and an offset as `16/B374D848`."""
        high, low = (int(part, _HEXADECIMAL) for part in lsn.split("/"))
        return cls(int(timeline, _HEXADECIMAL), high << 32 | low)

    @classmethod
    def read(cls, field: str, token: str) -> Self:
        """Return the position that a token names; raises InvalidInput."""
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            raise InvalidInput(field, "is no token of world.token()")
        return cls.of(parts[1], f"{parts[2]}/{parts[3]}")

    def token(self) -> str:
        """Return it as a text for cookies, headers and other processes."""
        return f"{self.timeline:X}/{self.offset >> 32:X}/{self.offset & 0xFFFFFFFF:X}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a standby has to have before it is read; without any of it, it is read as it is."""

    position: Position | None = None
    #: Finds a row as soon as the standby is new enough; its parameters.
    statement: str | None = None
    parameters: tuple[object, ...] = ()


#: Whatever a standby has.
ANYTHING: Final = Wanted()
