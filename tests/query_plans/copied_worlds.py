"""Worlds beside a world: copies of it, row by row, under ids of their own."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import Table

from livingworld.postgres.metadata import SCHEMA
from livingworld.schema import metadata
from livingworld.testing.staged_races import connected
from tests.query_plans.large_world import MERGE_WORDS

_QUICKLY: Final = "SET session_replication_role = replica"  # what is copied is right by construction
_NEW: Final = """
    CREATE TEMPORARY TABLE made AS SELECT gen_random_uuid() AS world_id FROM generate_series(1, $1::integer)
"""


async def copy_world(url: str, world_id: UUID, count: int, *, analysed: bool) -> None:
    """Make so many copies of a world, all that it has; keys of the database, which are unique, stay its own."""
    async with connected(url) as connection:
        await connection.execute(_QUICKLY)
        await connection.execute(_NEW.replace("$1", str(int(count))))
        for table in metadata.sorted_tables:
            await connection.execute(_copy(table), world_id)
        await connection.execute(MERGE_WORDS)
        if analysed:
            await connection.execute("VACUUM ANALYZE")


def _copy(table: Table) -> str:
    unique = {column.name for index in table.indexes if index.unique for column in index.columns}
    own = {"key", "request_key"} & unique if table.name == "worlds" else set()
    copied = [column.name for column in table.columns if column.name not in {"world_id", *own} and not column.computed]
    names = ", ".join(f'"{name}"' for name in copied)
    theirs = ", ".join(f't."{name}"' for name in copied)
    return f"""
        INSERT INTO {SCHEMA}.{table.name} (world_id, {names})
        SELECT made.world_id, {theirs} FROM {SCHEMA}.{table.name} t CROSS JOIN made WHERE t.world_id = $1
    """  # noqa: S608 - our own tables
