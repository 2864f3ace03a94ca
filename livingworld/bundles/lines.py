"""The lines of a bundle: each carries a digest over itself and the digest of the line before it.

So a line that was changed, lost, doubled or moved is found where it is, and the last digest stands for the whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO, Final

from livingworld.errors import BundleDamaged

#: What the first line is chained to.
_START: Final = "0" * 64
_LINE: Final = re.compile(rb'\{"digest":"([0-9a-f]{64})",(.*\})\n', re.DOTALL)
#: No line is longer: a row has at most a few texts, the longest of which is bounded (livingworld/inputs.py).
MAX_LINE_BYTES: Final = 256 * 2**20


@dataclass(slots=True)
class Chain:
    """The lines so far."""

    digest: str = _START
    lines: int = 0
    #: Bytes of the lines, but for their digests.
    size: int = 0
    #: The table whose rows stand here.
    table: str | None = None

    def add(self, body: bytes) -> None:
        """Go on by a line."""
        self.digest = sha256(self.digest.encode() + body).hexdigest()
        self.lines += 1
        self.size += len(body)

    def damage(self, reason: str, *, later: int = 0) -> BundleDamaged:
        """Return the error about the last line, or about one after it."""
        line = self.lines + later
        place = f"line {line}" if self.table is None else f"line {line}, table {self.table}"
        return BundleDamaged(f"The bundle is damaged: {place}: {reason}.", line=line, table=self.table)

    def sealed(self, body: str) -> bytes:
        """Return the next line: of an object of which `body` is what stands after its opening brace."""
        text = body.encode()
        self.add(text)
        return b'{"digest":"%s",%s\n' % (self.digest.encode(), text)


def table_line(chain: Chain, table: str, columns: list[str]) -> bytes:
    """Return the line that stands before the rows of a table."""
    chain.table = table
    return chain.sealed(_inside({"table": table, "columns": columns}))


def row_line(chain: Chain, row: str) -> bytes:
    """Return the line of a row, which is a JSON array."""
    return chain.sealed(f'"row":{row}}}')


def header_line(chain: Chain, header: dict[str, Any]) -> bytes:
    """Return the first line."""
    return chain.sealed(_inside(header))


def trailer_line(chain: Chain, counts: dict[str, int]) -> bytes:
    """Return the last line: how many rows each table has."""
    return chain.sealed(_inside({"counts": counts}))


def read_lines(file: BinaryIO, chain: Chain) -> Iterator[dict[str, Any]]:
    """Yield the objects of the lines; raises BundleDamaged at the first one that is not as it was written."""
    while line := file.readline(MAX_LINE_BYTES):
        found = _LINE.fullmatch(line)
        if found is None:
            raise chain.damage("it is no line of a bundle, or is cut off", later=1)
        chain.add(found[2])
        if chain.digest.encode() != found[1]:
            raise chain.damage("it is not as it was written, or a line before it is missing")
        try:
            yield json.loads(b"{" + found[2])
        except ValueError:
            raise chain.damage("it is no JSON") from None


def _inside(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))[1:]
