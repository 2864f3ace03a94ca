"""Which rows are in the bundle of one story."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, Table

from livingworld.postgres.idempotency import request_keys
from livingworld.story.revisions import revisions

Conditions = Callable[[UUID, UUID | None], Sequence[ColumnElement[bool]]]

#: The tables without a column `story_id` that have rows of a story, and the column that says of which one.
_OTHERWISE: Final = {revisions: revisions.c.entity_id, request_keys: request_keys.c.scope_id}


#: The tables with rows about a story that are not in its bundle, and why.
EXCUSED: Final = {
    "turn_waiters": "the tries of processes that wait at that moment; nobody waits in a copy",
    "live_streams": "who follows a story that comes back begins at its state as it is then",
    "live_events": "as their streams",
    "present_players": "who is connected to a story that comes back joins again",
    "presences": "as their players",
}


def in_the_story(table: Table) -> Conditions | None:
    """Return what is true of the rows of a table that belong to a story; None: no row of it does."""
    column = _OTHERWISE.get(table, table.c.get("story_id"))
    if column is None or table.name in EXCUSED:
        return None
    return lambda world_id, story_id: [table.c.world_id == world_id, column == story_id]
