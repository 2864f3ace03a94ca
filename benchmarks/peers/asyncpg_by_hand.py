"""What a careful person writes by hand: two tables, one statement, asyncpg's pool without its reset query.

The statement raises the counter and inserts the scene with its choices. It decides nothing (no expected head, no
request key, no archive, no fork), and of a scene its key alone is indexed: the least that is right for a story without
branches.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID, uuid4

import asyncpg
from scenes import SampleScene

from livingworld.testing.staged_races import connection_arguments
from peers import CONNECTIONS

TABLES: Final = """
    CREATE SCHEMA IF NOT EXISTS by_hand;
    CREATE TABLE IF NOT EXISTS by_hand.stories (
        story_id uuid PRIMARY KEY,
        title text NOT NULL,
        last_scene_number integer NOT NULL DEFAULT 0,
        updated_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE TABLE IF NOT EXISTS by_hand.scenes (
        story_id uuid NOT NULL REFERENCES by_hand.stories ON DELETE CASCADE,
        scene_number integer NOT NULL,
        content text NOT NULL,
        choices text[] NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (story_id, scene_number)
    );
"""
APPEND: Final = """
    WITH story AS (
        UPDATE by_hand.stories SET last_scene_number = last_scene_number + 1, updated_at = now()
        WHERE story_id = $1 RETURNING last_scene_number
    )
    INSERT INTO by_hand.scenes (story_id, scene_number, content, choices)
    SELECT $1, story.last_scene_number, $2, $3 FROM story
    RETURNING scene_number
"""


class AsyncpgByHand:
    """A pool."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def begin(self, count: int) -> Sequence[UUID]:
        """Begin so many stories."""
        stories = [uuid4() for _ in range(count)]
        insert = "INSERT INTO by_hand.stories (story_id, title) SELECT unnest($1::uuid[]), 'benchmark'"
        await self._pool.execute(insert, stories)
        return stories

    async def append(self, story_id: UUID, scene: SampleScene) -> object:
        """Append a scene."""
        return await self._pool.fetchval(APPEND, story_id, scene.content, scene.choices)

    async def stored(self, story_ids: Sequence[UUID]) -> int:
        """Return how many scenes of these stories are stored."""
        count: int = await self._pool.fetchval(
            "SELECT count(*) FROM by_hand.scenes WHERE story_id = ANY ($1)", story_ids
        )
        return count


async def prepare(url: str) -> str:
    """Make the tables."""
    connection = await asyncpg.connect(**connection_arguments(url))
    try:
        await connection.execute(TABLES)
    finally:
        await connection.close()
    return "by_hand"


async def _keep_as_it_is(_: object) -> None:
    """Reset nothing: no statement here leaves anything behind in its session."""


@asynccontextmanager
async def opened(url: str, _: str) -> AsyncIterator[AsyncpgByHand]:
    """Open the pool with all its connections."""
    made = asyncpg.create_pool(
        **connection_arguments(url), min_size=CONNECTIONS, max_size=CONNECTIONS, reset=_keep_as_it_is
    )
    async with made as pool:
        yield AsyncpgByHand(pool)
