"""A back-fill: the rows of a table get a value in batches, each its own short transaction, in the order of their key.

No batch waits for a row. What a writer holds is left out, and the batch is done again after a pause, so that nobody
waits for a batch that waits for somebody else, and no deadlock comes of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Row
from sqlalchemy.util import await_only

from livingworld.postgres.connections.scope import MAINTAIN
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
        SELECT {key}, ({where}) AS is_open FROM {table} {after} ORDER BY {key} LIMIT {batch}
    ), free AS MATERIALIZED (
        SELECT {named_key} FROM {table} AS filled JOIN page USING ({key}) WHERE page.is_open AND ({where})
        ORDER BY {own_key} FOR NO KEY UPDATE OF filled SKIP LOCKED
    ), done AS (
        UPDATE {table} AS filled SET {values} FROM free WHERE ({own_key}) = ({free_key}) RETURNING 1
    )
    SELECT (SELECT count(*) FROM page) AS rows, (SELECT count(*) FROM page WHERE is_open) AS open,
        (SELECT count(*) FROM done) AS done, last.*
    FROM (SELECT {texts} FROM page ORDER BY {backwards} LIMIT 1) AS last
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackFill(Step):
    """The rows that `where` is true of get `values`; then it is not true of them any longer."""

    values: str
    where: str

    def is_done(self, connection: Connection) -> bool:
        """Return whether no row needs a value: the first that does is found soon, none by reading all."""
        table = f"{SCHEMA}.{self.tables[0]}"
        query = f"SELECT NOT EXISTS (SELECT FROM {table} WHERE {self.where})"  # noqa: S608 - of a revision
        return bool(connection.scalar(verbatim(query)))

    def perform(self, context: MigrationContext, progress: Progress) -> None:
        """Go through the table by its key, once; a batch with rows that are held is done until none is."""
        connection = connection_of(context)
        names, types, expected = connection.execute(verbatim(_KEY.format(table=f"{SCHEMA}.{self.tables[0]}"))).one()
        last: tuple[str, ...] = ()
        passed = filled = 0
        while (row := self._batch(context, names, types, last)) is not None:
            filled += row.done
            if row.done == row.open:
                last, passed = tuple(row[3:]), passed + row.rows
                progress.filled(passed, expected, filled)
            else:
                progress.held()
                await_only(asyncio.sleep(_PAUSE.total_seconds()))

    def at_once(self) -> tuple[str, ...]:
        """Return nothing: an empty database has no rows."""
        return ()

    def _batch(
        self, context: MigrationContext, names: list[str], types: list[str], last: tuple[str, ...]
    ) -> Row[Any] | None:
        connection = connection_of(context)
        statement = _next_batch(f"{SCHEMA}.{self.tables[0]}", names, types, self.where, self.values, first=not last)
        connection.execute(MAINTAIN)
        self.limits.set_on(connection, of_transaction=True)
        row = connection.exec_driver_sql(statement, last).one_or_none()
        commit(context)
        return row


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


def _next_batch(table: str, names: list[str], types: list[str], where: str, values: str, *, first: bool) -> str:
    place = ", ".join(f"${number}::text::{kind}" for number, kind in enumerate(types, 1))
    key = ", ".join(names)
    return _NEXT.format(
        table=table,
        key=key,
        own_key=", ".join(f"filled.{name}" for name in names),
        named_key=", ".join(f"filled.{name} AS free_{name}" for name in names),
        free_key=", ".join(f"free_{name}" for name in names),
        texts=", ".join(f"{name}::text" for name in names),
        backwards=", ".join(f"{name} DESC" for name in names),
        after="" if first else f"WHERE ({key}) > ({place})",
        where=where,
        values=values,
        batch=BATCH,
    )
