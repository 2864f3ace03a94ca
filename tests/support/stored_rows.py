"""What is stored of a world, to be compared with what was there, or with another world to which the same was done."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from livingworld.schema import metadata
from livingworld.testing.staged_races import connected

#: What holds times and ids inside, or is made from them.
_TIMED: Final = {"result", "results", "request_hash", "duration_ms"}
#: An id in a text: the subject of a fact that is a character, the cast in a revision.
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: What the background makes of scenes, in its own time, and what is made of them from then on.
_DERIVED: Final = {"unindexed_scenes", "scene_words", "scene_vectors", "embedding_cache"}
#: Marks that something changed: writers at the same moment leave one each, one after the other leaves the last.
_MARKS: Final = {"lore_changes"}


async def rows_of(url: str, world_id: UUID) -> dict[str, list[str]]:
    """Return every row of a world, by table."""
    return await _rows(url, world_id, lambda _name, _value: True)


async def comparable_rows_of(url: str, world_id: UUID) -> dict[str, list[str]]:
    """Return the rows of a world, without what is another one in every world."""
    tables = await _rows(url, world_id, lambda name, value: not _is_new_each_time(name, value))
    return {
        table: sorted(_ID.sub("an id", row) for row in rows) for table, rows in tables.items() if table not in _MARKS
    }


async def _rows(url: str, world_id: UUID, tells: Callable[[str, Any], bool]) -> dict[str, list[str]]:
    async with connected(url) as connection:
        return {
            table.name: sorted(
                repr({name: value for name, value in row.items() if tells(name, value)})
                for row in await connection.fetch(f"SELECT * FROM {table.fullname} WHERE world_id = $1", world_id)  # noqa: S608
            )
            for table in metadata.tables.values()
            if "world_id" in table.c and table.name not in _DERIVED
        }


def _is_new_each_time(name: str, value: Any) -> bool:  # noqa: ANN401 - a column's value
    new = isinstance(value, datetime | timedelta) or (isinstance(value, list) and any(map(_is_id, value)))
    return new or _is_id(value) or name in _TIMED


def _is_id(value: object) -> bool:
    return isinstance(value, UUID) or (isinstance(value, str) and _ID.fullmatch(value) is not None)
