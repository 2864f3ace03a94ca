"""Indexes of a table that is cut: built partition by partition while others read and write, and then put together.

PostgreSQL refuses CONCURRENTLY for the table as a whole.
"""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import Connection, text

from livingworld.postgres.distribution.partitions import PARTS
from livingworld.postgres.metadata import SCHEMA

_CREATE: Final = re.compile(rf"CREATE (UNIQUE INDEX|INDEX) CONCURRENTLY (\w+) ON {SCHEMA}\.(\w+) (.*)", re.DOTALL)
_DROP: Final = re.compile(rf"DROP INDEX CONCURRENTLY (?:IF EXISTS )?{SCHEMA}\.(\w+)")
_PARTS: Final = text("""
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass(:table) ORDER BY length(c.relname), c.relname
""")
_IS_CUT: Final = text("SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass(:index) AND relkind = 'I')")


def in_partitions(connection: Connection, statement: str) -> tuple[str, ...]:
    """Return what does the same where the table is cut, each outside of a transaction; else the statement itself."""
    if (found := _CREATE.fullmatch(statement)) is not None:
        kind, name, table, rest = found.groups()
        parts = list(connection.scalars(_PARTS, {"table": f"{SCHEMA}.{table}"}))
        whole = statement.replace(" CONCURRENTLY", " IF NOT EXISTS", 1).replace(" ON ", " ON ONLY ", 1)
        return _created(whole, kind, name, rest, parts) if parts else (statement,)
    found = _DROP.fullmatch(statement)
    if found is not None and connection.scalar(_IS_CUT, {"index": f"{SCHEMA}.{found[1]}"}):
        return (statement.replace(" CONCURRENTLY", ""),)
    return (statement,)


def _created(whole: str, kind: str, name: str, rest: str, parts: list[str]) -> tuple[str, ...]:
    """Return the statements; what an earlier run left of a partition's index is dropped and built again."""
    made = [whole]
    for part in parts:
        own = f"{name[:58]}_{part.rpartition('_')[2]}"
        made += [
            f"DROP INDEX CONCURRENTLY IF EXISTS {PARTS}.{own}",
            f"CREATE {kind} CONCURRENTLY {own} ON {PARTS}.{part} {rest}",
            f"ALTER INDEX {SCHEMA}.{name} ATTACH PARTITION {PARTS}.{own}",
        ]
    return tuple(made)
