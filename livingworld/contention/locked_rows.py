"""What a waiting session waits for: the kind of lock, and the row, which PostgreSQL names by its place in the table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, Table, literal_column, select, text

from livingworld.postgres.metadata import SCHEMA
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.schema import metadata

#: The kind whose lock covers the rows of a table; tables of a story that have no line are covered by the story.
KIND_OF_TABLE: Final[Mapping[str, LockKind | None]] = {
    "actions": LockKind.LANE,
    "ai_model_roles": LockKind.MODEL,
    "ai_models": LockKind.MODEL,
    "character_names": LockKind.CHARACTER,
    "character_vectors": LockKind.CHARACTER,
    "characters": LockKind.CHARACTER,
    "cycle_runs": LockKind.CYCLE,
    "cycles": LockKind.CYCLE,
    "document_versions": LockKind.DOCUMENT,
    "documents": LockKind.DOCUMENT,
    "fact_names": LockKind.STORY,
    "interactions": LockKind.SESSION,
    "lanes": LockKind.LANE,
    "leases": LockKind.LEASE,
    "live_events": LockKind.STREAM,
    "live_streams": LockKind.STREAM,
    "lore_changes": LockKind.LORE,
    "lore_entries": LockKind.LORE,
    "memories": LockKind.STORY,
    "memory_embedders": LockKind.MEMORY,
    "presences": LockKind.PRESENCE,
    "present_players": LockKind.PRESENCE,
    "relationships": LockKind.STORY,
    "scripts": LockKind.SCRIPT,
    "script_versions": LockKind.SCRIPT,
    "sessions": LockKind.SESSION,
    "tasks": LockKind.SESSION,
    "training_samples": LockKind.SAMPLE,
}
_TABLES: Final[dict[str, Table]] = {table.name: table for table in metadata.sorted_tables}
_PLACE: Final[ColumnElement[Any]] = literal_column("ctid")
#: A table and a place in it, as PostgreSQL writes one.
Place: TypeAlias = tuple[str, str]
#: The columns of a row's primary key, and its story, by name.
Key: TypeAlias = Mapping[str, Any]


def kind_of(table: str | None) -> LockKind | None:
    """Return the kind of lock that covers the rows of a table, or None for a table that no declared lock covers."""
    if table is None or table not in _TABLES:
        return None
    return KIND_OF_TABLE.get(table) or (LockKind.STORY if "story_id" in _TABLES[table].c else None)


async def rows_at(tx: Transaction, places: Iterable[Place]) -> dict[Place, Key]:
    """Return the keys of the rows that are at these places now; a place whose row is gone is left out."""
    by_table: dict[str, list[str]] = defaultdict(list)
    for table, place in places:
        if table in _TABLES:
            by_table[table].append(place)
    found: dict[Place, Key] = {}
    for name, given in by_table.items():
        found |= await _rows_of(tx, _TABLES[name], given)
    return found


async def _rows_of(tx: Transaction, table: Table, places: list[str]) -> dict[Place, Key]:
    columns = [*table.primary_key.columns, *(column for column in table.c if column.name == "story_id")]
    chosen = list(dict.fromkeys(columns))
    statement = select(_PLACE.label("place"), *chosen).where(
        text("ctid = ANY (CAST(CAST(:places AS text[]) AS tid[]))")
    )
    rows = await tx.execute(statement, {"places": places})
    names = [column.name for column in chosen]
    return {(table.name, _text(row[0])): dict(zip(names, map(_value, row[1:]), strict=True)) for row in rows}


def _text(place: Any) -> str:  # noqa: ANN401 - a tuple of asyncpg's
    return "({},{})".format(*place)


def _value(value: Any) -> Any:  # noqa: ANN401 - any value of a key
    return UUID(int=value.int) if isinstance(value, UUID) else value


#: The tables whose rows are looked up; the schema of all others is another one.
OUR_SCHEMA: Final = SCHEMA
