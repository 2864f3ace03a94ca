"""What is stored, in numbers: so that a migration which takes data away can be told from one that does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, inspect, text

from livingworld.postgres.metadata import SCHEMA, VERSION_TABLE

#: The key of a table's rows, beside those of its columns.
_ROWS: Final = "*"

#: By table and column how many values there are, and with `*` how many rows.
Counts = Mapping[str, Mapping[str, int]]


def count_values(connection: Connection) -> Counts:
    """Count the rows and values of every table; until the transaction ends nobody else writes to them."""
    inspector = inspect(connection)
    inspector.clear_cache()
    tables = sorted(set(inspector.get_table_names(schema=SCHEMA)) - {VERSION_TABLE})
    if not tables:
        return {}
    quote = connection.dialect.identifier_preparer.quote
    locked = ", ".join(f"{SCHEMA}.{quote(table)}" for table in tables)
    connection.execute(text(f"LOCK TABLE {locked} IN SHARE MODE"))
    counts: dict[str, Mapping[str, int]] = {}
    for table in tables:
        columns = [column["name"] for column in inspector.get_columns(table, schema=SCHEMA)]
        wanted = ", ".join(["count(*)", *(f"count({quote(column)})" for column in columns)])
        row = connection.execute(text(f"SELECT {wanted} FROM {SCHEMA}.{quote(table)}")).one()  # noqa: S608 - quoted
        counts[table] = dict(zip([_ROWS, *columns], map(int, row), strict=True))
    return counts


def lost_data(before: Counts, after: Counts) -> dict[str, int]:
    """Return how many rows each table lost, and how many values each column that went from a table which stayed."""
    lost: dict[str, int] = {}
    for table, counts in before.items():
        left = after.get(table, {})
        if (rows := counts[_ROWS] - left.get(_ROWS, 0)) > 0:
            lost[table] = rows
        elif left:
            gone = {f"{table}.{column}": count for column, count in counts.items() if column not in left and count}
            lost |= gone
    return lost
