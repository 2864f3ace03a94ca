"""Reading a bundle: its header, its rows some at a time, and its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Final
from uuid import UUID

from livingworld.bundles.contents import Part
from livingworld.bundles.lines import Chain, read_lines
from livingworld.bundles.records import FORMAT, Bundle, Header, described
from livingworld.errors import BundleOfOtherSchema
from livingworld.postgres.row_texts import Texts

#: Rows that are handed on together, and about how many bytes of them.
_ROWS: Final = 500
_BYTES: Final = 2_000_000


@dataclass(slots=True)
class Rows:
    """Some rows of a table, which stand on the lines from `line` on."""

    table: str
    columns: list[str]
    line: int
    #: Of the bundle, up to its first row.
    begin: int
    rows: list[Texts] = field(default_factory=list)


class BundleReader:
    """Reads one bundle, once, from its begin to its end; blocks while the file does."""

    def __init__(self, file: BinaryIO) -> None:
        """Read the header; raises BundleDamaged, or BundleOfOtherSchema for another format."""
        self._chain = Chain()
        self._lines = read_lines(file, self._chain)
        #: The tables so far, and how many rows of each.
        self.counts: dict[str, int] = {}
        self._whole = False
        self.header = self._header()

    def batches(self) -> Iterator[Rows]:
        """Yield the rows in their order; raises BundleDamaged at the first line that is wrong or missing."""
        batch: Rows | None = None
        for content in self._lines:
            self._refuse_more()
            if batch is not None and "row" in content:
                batch.rows.append(self._row(content["row"], batch))
                if len(batch.rows) < _ROWS and self._chain.size - batch.begin < _BYTES:
                    continue
            if batch is not None and batch.rows:
                yield batch
            batch = self._next(content, batch)
        if not self._whole:
            raise self._chain.damage("it is missing: the bundle ends before its end", later=1)

    @property
    def bytes(self) -> int:
        """How much was read, about."""
        return self._chain.size

    def bundle(self) -> Bundle:
        """Return what is in the bundle, which was read to its end."""
        return described(self.header, self.counts, self._chain.digest)

    def _next(self, content: dict[str, Any], batch: Rows | None) -> Rows | None:
        """Return where the rows after this line go."""
        here = self._chain
        if "row" in content and batch is not None:
            return Rows(batch.table, batch.columns, here.lines + 1, here.size)
        if isinstance(table := content.get("table"), str) and isinstance(columns := content.get("columns"), list):
            if table in self.counts:
                raise here.damage(f"the table {table!r} comes again")
            here.table = table
            self.counts[table] = 0
            return Rows(table, columns, here.lines + 1, here.size)
        self._end(content)
        return None

    def _row(self, row: object, batch: Rows) -> Texts:
        values = row if isinstance(row, list) else []
        if len(values) != len(batch.columns) or not all(value is None or isinstance(value, str) for value in values):
            raise self._chain.damage("it is no row of its table")
        self.counts[batch.table] += 1
        return values

    def _end(self, content: dict[str, Any]) -> None:
        if content.get("counts") != self.counts:
            raise self._chain.damage("it counts other rows than there are")
        self._whole, self._chain.table = True, None

    def _refuse_more(self) -> None:
        if self._whole:
            raise self._chain.damage("it stands behind the end of the bundle")

    def _header(self) -> Header:
        content = next(self._lines, None)
        if content is None:
            raise self._chain.damage("it is missing: the file is empty", later=1)
        if content.get("bundle") != "livingworld":
            raise self._chain.damage("it is not the first line of a bundle")
        if content.get("format") != FORMAT:
            raise BundleOfOtherSchema(
                f"The bundle has the format {content.get('format')!r}; this release reads {FORMAT}."
            )
        try:
            return _header(content)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._chain.damage("it is not the first line of a bundle") from None


def _header(content: dict[str, Any]) -> Header:
    return Header(
        world_id=UUID(content["world_id"]),
        story_id=None if content["story_id"] is None else UUID(content["story_id"]),
        revision=str(content["revision"]),
        moment=datetime.fromisoformat(content["moment"]),
        vectors=bool(content["vectors"]),
    )


def refuse_other_columns(known: list[Part], batch: Rows) -> None:
    """Raise BundleOfOtherSchema for rows of a table that this release does not have so."""
    if not any(part.table.name == batch.table and part.names == batch.columns for part in known):
        message = f"The table {batch.table} of the bundle has other columns than this release's, or is not of it."
        raise BundleOfOtherSchema(message, table=batch.table)


def refuse_missing_tables(known: list[Part], reader: BundleReader) -> None:
    """Raise BundleOfOtherSchema where a table of this release is not in the bundle."""
    if missing := {part.table.name for part in known} - reader.counts.keys():
        table = min(missing)
        raise BundleOfOtherSchema(f"The bundle lacks the table {table} of this release.", table=table)
