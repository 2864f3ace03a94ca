"""What a careful person writes by hand: one connection for each task, one prepared statement, nothing else.

The statement raises the counter and inserts the scene. It decides nothing (no expected head, no request key, no
archive, no fork), and gives no pool its reset query: the fastest that is still right for a story without branches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from uuid import UUID

import asyncpg

from livingworld.testing.staged_races import connection_arguments

STATEMENT = """
    WITH story AS (
        UPDATE livingworld.stories SET last_scene_number = last_scene_number + 1
        WHERE world_id = $1 AND story_id = $2 RETURNING last_scene_number
    ), branch AS (
        UPDATE livingworld.branches b
        SET head_scene_number = story.last_scene_number, head_position = b.head_position + 1, version = b.version + 1,
            updated_at = now()
        FROM story WHERE b.world_id = $1 AND b.story_id = $2 AND b.branch_number = 1
        RETURNING b.head_position
    )
    INSERT INTO livingworld.scenes
        (world_id, story_id, scene_number, parent_scene_number, timeline_number, position, content, choices)
    SELECT $1, $2, story.last_scene_number, nullif(story.last_scene_number - 1, 0), 1, branch.head_position, $3, $4
    FROM story, branch
    RETURNING scene_number
"""


class HandWritten:
    """A set of connections, each with the statement prepared."""

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self._size = size
        self._connections: list[asyncpg.Connection[asyncpg.Record]] = []
        self._free: asyncio.LifoQueue[asyncpg.prepared_stmt.PreparedStatement[asyncpg.Record]] = asyncio.LifoQueue()

    async def __aenter__(self) -> Self:
        for _ in range(self._size):
            connection = await asyncpg.connect(**connection_arguments(self._url))
            self._connections.append(connection)
            self._free.put_nowait(await connection.prepare(STATEMENT))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for connection in self._connections:
            await connection.close()

    async def append(self, world_id: UUID, story_id: UUID, content: str, choices: Sequence[str]) -> int:
        """Append one scene and return its number."""
        statement = await self._free.get()
        try:
            number: int = await statement.fetchval(world_id, story_id, content, choices)
            return number
        finally:
            self._free.put_nowait(statement)
