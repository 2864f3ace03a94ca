"""A back-fill: the rows of a table get a value in batches, each its own short transaction, in the order of their key.

No batch waits for a row. What a writer holds is left out, and the batch is done again after a pause, so that nobody
waits for a batch that waits for somebody else, and no deadlock comes of it.

Where tables are distributed, each world is gone through by itself: Citus locks rows of one world only.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, CursorResult, Row
from sqlalchemy.util import await_only

from livingworld.postgres.connections.scope import MAINTAIN
from livingworld.postgres.distribution.cluster import is_distributed
from livingworld.postgres.metadata import SCHEMA
from livingworld.postgres.upgrades.progress import Progress
from livingworld.postgres.upgrades.step import QUICK, Lock, Step, commit, connection_of, verbatim

#: So many rows are locked at once, for some ten milliseconds.
BATCH: Final = 500
#: How long a batch that met held rows waits before it looks again.
_PAUSE: Final = timedelta(milliseconds=100)
_KEY: Final = """
    SELECT array_agg(a.attname::text ORDER BY array_position(i.indkey::smallint[], a.attnum)),
        array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY array_position(i.indkey::smallint[], a.attnum)),
        (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = i.indrelid)
    FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = '{table}'::regclass AND i.indisprimary
    GROUP BY i.indrelid
"""
#: A row that another session changes between the snapshot and the lock is judged again as it is then.
_NEXT: Final = """
    WITH page AS (
        SELECT {key}, ({where}) AS is_open FROM {table} AS filled WHERE {in_world}{after} ORDER BY {key} LIMIT {batch}
    ), free AS MATERIALIZED (
        SELECT {named_key} FROM {table} AS filled JOIN page USING ({key})
        WHERE {in_world}page.is_open AND ({where})
        ORDER BY {own_key} FOR NO KEY UPDATE OF filled SKIP LOCKED
    ), done AS (
        UPDATE {table} AS filled SET {values} FROM free
        WHERE {in_world}({own_key}) = ({free_key}) RETURNING 1
    )
    SELECT (SELECT count(*) FROM page) AS rows, (SELECT count(*) FROM page WHERE is_open) AS open,
        (SELECT count(*) FROM done) AS done, last.*
    FROM (SELECT {texts} FROM page ORDER BY {backwards} LIMIT 1) AS last
"""

#: Of a table that every node has whole: Citus moves no rows from a sub-query into an UPDATE of it.
_EVERYWHERE: Final = """
    UPDATE {table} AS filled SET {values} WHERE filled.world_id = '{world_id}' AND ({where})
"""
_WORLDS: Final = "SELECT DISTINCT world_id FROM {table} WHERE {where} ORDER BY world_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackFill(Step):
    """The rows that `where` is true of get `values`; then it is not true of them any longer."""

    values: str
    where: str

    def is_done(self, connection: Connection) -> bool:
        """Return whether no row needs a value: the first that does is found soon, none by reading all."""
        # For Citus, which selects of all shards no row without a column, and without a limit every row.
        query = f"SELECT NOT EXISTS (SELECT 1 FROM {self._table} WHERE {self.where} LIMIT 1)"  # noqa: S608 - of a revision
        return bool(connection.scalar(verbatim(query)))

    def perform(self, context: MigrationContext, progress: Progress) -> None:
        """Go through the table by its key, once; a batch with rows that are held is done until none is."""
        connection = connection_of(context)
        names, types, expected = connection.execute(verbatim(_KEY.format(table=self._table))).one()
        done = _Done(progress, expected)
        if not is_distributed(connection):
            self._go_through(context, done, BackFillKey(names, types))
            return
        worlds = verbatim(_WORLDS.format(table=self._table, where=self.where))
        for world_id in connection.scalars(worlds).all():
            if self.tables[0] == "worlds":
                self._fill_everywhere(context, done, world_id)
            else:
                self._go_through(context, done, BackFillKey(names, types, world_id))

    def _go_through(self, context: MigrationContext, done: _Done, key: BackFillKey) -> None:
        last: tuple[str, ...] = ()
        while (row := self._batch(context, key, last)) is not None:
            done.filled += row.done
            if row.done == row.open:
                last = tuple(row[3:])
                done.passed += row.rows
                done.tell()
            else:
                done.progress.held()
                await_only(asyncio.sleep(_PAUSE.total_seconds()))

    def _fill_everywhere(self, context: MigrationContext, done: _Done, world_id: UUID) -> None:
        statement = _EVERYWHERE.format(table=self._table, values=self.values, world_id=world_id, where=self.where)
        done.filled += self._run(context, statement).rowcount
        commit(context)
        done.passed += 1
        done.tell()

    @property
    def _table(self) -> str:
        return f"{SCHEMA}.{self.tables[0]}"

    def at_once(self) -> tuple[str, ...]:
        """Return nothing: an empty database has no rows."""
        return ()

    def _batch(self, context: MigrationContext, key: BackFillKey, last: tuple[str, ...]) -> Row[Any] | None:
        statement = next_batch(self._table, key, self.where, self.values, first=not last)
        row = self._run(context, statement, last).one_or_none()
        commit(context)
        return row

    def _run(self, context: MigrationContext, statement: str, values: tuple[str, ...] = ()) -> CursorResult[Any]:
        connection = connection_of(context)
        connection.execute(MAINTAIN)
        self.limits.set_on(connection, of_transaction=True)
        return connection.exec_driver_sql(statement, values)


@dataclass(frozen=True, slots=True)
class BackFillKey:
    """The columns of a primary key; with a world, of its rows only."""

    names: list[str]
    types: list[str]
    world_id: UUID | None = None


@dataclass(slots=True)
class _Done:
    """How far a back-fill has come."""

    progress: Progress
    expected: int
    passed: int = 0
    filled: int = 0

    def tell(self) -> None:
        self.progress.filled(self.passed, self.expected, self.filled)


def back_fill(table: str, values: str, where: str, batch: int = BATCH) -> BackFill:
    """Return the step that gives rows a value: `values` as after SET, `where` what is true until they have it."""
    return BackFill(
        title=f"{table}: {values}",
        statements=(),
        tables=(table,),
        lock=Lock.ROWS,
        limits=QUICK,
        scans=1,
        rewrites=f"{{rows}} of {table}, at most, {batch} at a time",
        values=values,
        where=where,
    )


def next_batch(table: str, key: BackFillKey, where: str, values: str, *, first: bool) -> str:
    """Return the statement that fills the first rows of a table, or those after $1, $2, ..., the key of another row."""
    place = ", ".join(f"${number}::text::{kind}" for number, kind in enumerate(key.types, 1))
    columns = ", ".join(key.names)
    return _NEXT.format(
        table=table,
        key=columns,
        own_key=", ".join(f"filled.{name}" for name in key.names),
        named_key=", ".join(f"filled.{name} AS free_{name}" for name in key.names),
        free_key=", ".join(f"free_{name}" for name in key.names),
        texts=", ".join(f"{name}::text" for name in key.names),
        backwards=", ".join(f"{name} DESC" for name in key.names),
        after="true" if first else f"({columns}) > ({place})",
        in_world="" if key.world_id is None else f"filled.world_id = '{key.world_id}' AND ",
        where=where,
        values=values,
        batch=BATCH,
    )
