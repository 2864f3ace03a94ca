"""What is stored of a world, to be compared with another world to which the same was done."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from livingworld.schema import metadata
from livingworld.testing.staged_races import connected

#: What holds times and ids inside, or is made from them.
_TIMED: Final = {"result", "results", "request_hash", "duration_ms"}


async def rows_of(url: str, world_id: UUID) -> dict[str, list[str]]:
    """Return the rows of a world, without what is another one in every world."""
    async with connected(url) as connection:
        return {
            table.name: sorted(
                repr({name: value for name, value in row.items() if not _is_new_each_time(name, value)})
                for row in await connection.fetch(f"SELECT * FROM {table.fullname} WHERE world_id = $1", world_id)  # noqa: S608
            )
            for table in metadata.tables.values()
            if "world_id" in table.c
        }


def _is_new_each_time(name: str, value: Any) -> bool:  # noqa: ANN401 - a column's value
    new = isinstance(value, UUID | datetime | timedelta) or (isinstance(value, list) and any(map(_is_id, value)))
    return new or name in _TIMED


def _is_id(value: object) -> bool:
    return isinstance(value, UUID)
