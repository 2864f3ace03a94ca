"""Rows as PostgreSQL's own texts of their values: read along a cursor, and inserted again.

The text of a value is what PostgreSQL reads back as exactly this value, whatever its type. Each statement handles some
rows, so the time limits of statements hold, and no more than these rows are in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Table, Text, cast, func, select, text
from sqlalchemy.dialects.postgresql import asyncpg

from livingworld.postgres.metadata import SCHEMA, VERSION_TABLE
from livingworld.postgres.transactions.transaction import Transaction

#: A row, as the texts of its values; None: SQL's NULL.
Texts = list[str | None]

_dialect: Final = asyncpg.dialect()  # type: ignore[no-untyped-call]
_quote: Final = _dialect.identifier_preparer
#: The settings on which the texts depend.
_FORMATS: Final = text(
    "SELECT set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO', true),"
    " set_config('IntervalStyle', 'postgres', true), set_config('extra_float_digits', '1', true),"
    " set_config('bytea_output', 'hex', true)"
)
_REVISION: Final = text(f"SELECT version_num FROM {SCHEMA}.{VERSION_TABLE}")  # noqa: S608 - our own names
#: Characters of the rows of one read, about, and most rows of it.
_CHARACTERS: Final = 2_000_000
_ROWS: Final = 500
_FIRST_ROWS: Final = 20


async def stored_revision(tx: Transaction) -> str:
    """Return the revision of the tables, on which the columns depend."""
    return str(await tx.scalar(_REVISION))


async def fix_formats(tx: Transaction) -> None:
    """Let this transaction write and read texts in the one form, whatever the role's settings say."""
    await tx.execute(_FORMATS)


async def read_texts(
    tx: Transaction, table: Table, columns: Sequence[Column[Any]], *conditions: ColumnElement[bool]
) -> AsyncIterator[list[str]]:
    """Yield the rows in the order of their keys, some at a time, each as a JSON array of texts and nulls."""
    texts = func.json_build_array(*(cast(column, Text) for column in columns))
    rows = select(cast(texts, Text)).where(*conditions).order_by(*map(_in_every_order, table.primary_key.columns))
    await tx.execute_text(f"DECLARE texts NO SCROLL CURSOR FOR {_compiled(rows)}", ())
    wanted, found = _FIRST_ROWS, await _fetch(tx, _FIRST_ROWS)
    while found:
        yield found
        is_last = len(found) < wanted
        wanted = max(1, min(_ROWS, _CHARACTERS // max(map(len, found))))
        found = [] if is_last else await _fetch(tx, wanted)
    await tx.execute_text("CLOSE texts", ())


async def _fetch(tx: Transaction, count: int) -> list[str]:
    return [row[0] for row in await tx.execute_text(f"FETCH FORWARD {count} FROM texts", ())]


async def insert_texts(
    tx: Transaction, table: Table, columns: Sequence[Column[Any]], rows: Sequence[Texts], known: Mapping[str, UUID]
) -> None:
    """Insert rows by the texts of their columns, and the ids that all of them have, in one statement."""
    numbers = range(1 + len(known), 1 + len(known) + len(columns))
    names = ", ".join(_quote.quote(name) for name in (*known, *(column.name for column in columns)))
    values = [f"${number}::uuid" for number, _ in enumerate(known, 1)]
    values += [f"CAST(r.v{number} AS {_type(column)})" for number, column in zip(numbers, columns, strict=True)]
    arrays = ", ".join(f"${number}::text[]" for number in numbers)
    aliases = ", ".join(f"v{number}" for number in numbers)
    statement = (
        f"INSERT INTO {_quote.format_table(table)} ({names})"  # noqa: S608 - names of our own tables
        f" SELECT {', '.join(values)} FROM unnest({arrays}) AS r ({aliases})"
    )
    await tx.execute_text(statement, (*known.values(), *map(list, zip(*rows, strict=True))))


def _in_every_order(column: Column[Any]) -> ColumnElement[Any]:
    """Order texts by their code points: in every database alike."""
    return column.collate("C") if isinstance(column.type, Text) and column.type.collation is None else column


def _type(column: Column[Any]) -> str:
    return str(column.type.compile(_dialect)).partition(" COLLATE")[0]


def _compiled(statement: Any) -> str:  # noqa: ANN401 - a statement of any shape
    return str(statement.compile(dialect=_dialect, compile_kwargs={"literal_binds": True}))
