"""What the rows of a bundle refer to: kept on disk, because the keys of a large world do not fit into memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final, Self

from sqlalchemy import ForeignKeyConstraint

from livingworld.bundles.contents import Part
from livingworld.bundles.reading import Rows
from livingworld.postgres.row_texts import Texts

_WORLD: Final = "world_id"
_TABLES: Final = """
    CREATE TABLE there (key BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE wanted (key BLOB PRIMARY KEY, line INTEGER, of_table TEXT, other TEXT) WITHOUT ROWID;
"""
_MISSING: Final = """
    SELECT line, of_table, other FROM wanted WHERE key NOT IN (SELECT key FROM there) ORDER BY line LIMIT 1
"""


class References:
    """The keys of rows, and the keys that rows refer to by foreign keys."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._own = {part.table.name: _keys_referred_to(part, parts) for part in parts}
        self._foreign = {part.table.name: list(_references(part, parts)) for part in parts}

    def __enter__(self) -> Self:
        self._database = sqlite3.connect(
            "", check_same_thread=False
        )  # a file without a name, removed when it is closed
        self._database.executescript(_TABLES)
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, batch: Rows) -> None:
        """Note the keys of rows, and what they refer to."""
        places = {name: place for place, name in enumerate(batch.columns)}
        there = [(key,) for row in batch.rows for key in self._keys_of(batch.table, places, row)]
        self._database.executemany("INSERT OR IGNORE INTO there VALUES (?)", there)
        wanted = (
            (key, line, batch.table, other)
            for line, row in enumerate(batch.rows, batch.line)
            for other, key in self._wanted_by(batch.table, places, row)
        )
        self._database.executemany("INSERT OR IGNORE INTO wanted VALUES (?, ?, ?, ?)", wanted)

    def missing(self) -> tuple[int, str, str] | None:
        """Return the first line that refers to a row that is not there, its table, and the other one; or None."""
        found: tuple[int, str, str] | None = self._database.execute(_MISSING).fetchone()
        return found

    def _keys_of(self, table: str, places: dict[str, int], row: Texts) -> Iterator[bytes]:
        for names in self._own[table]:
            yield _key(table, names, [row[places[name]] for name in names])

    def _wanted_by(self, table: str, places: dict[str, int], row: Texts) -> Iterator[tuple[str, bytes]]:
        for names, other, referred in self._foreign[table]:
            values = [row[places[name]] for name in names]
            if None not in values:
                yield other, _key(other, referred, values)


def _references(part: Part, parts: Sequence[Part]) -> Iterator[tuple[tuple[str, ...], str, tuple[str, ...]]]:
    """Yield the columns of each foreign key, the other table, and its columns; the world is the same for all."""
    tables = {each.table for each in parts}
    for constraint in part.table.constraints:
        if isinstance(constraint, ForeignKeyConstraint) and constraint.referred_table in tables:
            pairs = [(key.parent.name, key.column.name) for key in constraint.elements if key.parent.name != _WORLD]
            if pairs:
                own, referred = zip(*sorted(pairs, key=lambda pair: pair[1]), strict=True)
                yield own, constraint.referred_table.name, referred


def _keys_referred_to(part: Part, parts: Sequence[Part]) -> set[tuple[str, ...]]:
    return {referred for each in parts for _, other, referred in _references(each, parts) if other == part.table.name}


def _key(table: str, names: tuple[str, ...], values: list[str | None]) -> bytes:
    return blake2b(repr((table, names, values)).encode(), digest_size=16).digest()
