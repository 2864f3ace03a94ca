"""What must be true after every fault: the promises of docs/explanation/guarantees.md, whatever was asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from livingworld import LivingWorld
from livingworld.testing.staged_races import Connection
from tests.support.patience import until

#: Sessions that hold something although no call is under way, and locks that nobody will let go.
_LEFT: Final = """
    SELECT 'session ' || a.pid || ' is ' || a.state AS what FROM pg_stat_activity a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.state <> 'idle'
        AND a.backend_type = 'client backend'
    UNION ALL
    SELECT 'advisory lock of ' || l.pid FROM pg_locks l
    JOIN pg_database d ON d.oid = l.database
    WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objsubid <= 2  -- of others: Citus's own
"""
#: Stories whose parts do not belong together.
_TORN: Final = """
    SELECT s.story_id FROM livingworld.stories s
    LEFT JOIN livingworld.branches b USING (world_id, story_id)
    LEFT JOIN livingworld.scenes c USING (world_id, story_id)
    GROUP BY s.world_id, s.story_id, s.last_scene_number
    HAVING count(DISTINCT b.branch_number) <> 1
        OR count(DISTINCT c.scene_number) <> s.last_scene_number
        OR coalesce(max(c.scene_number), 0) <> s.last_scene_number
        OR coalesce(max(b.head_scene_number), 0) <> s.last_scene_number
    UNION ALL
    SELECT c.character_id FROM livingworld.characters c
    LEFT JOIN livingworld.character_names n USING (world_id, character_id)
    WHERE n.name_key IS NULL
"""


def engine_of(livingworld: LivingWorld) -> AsyncEngine:
    """Return the engine behind an open LivingWorld."""
    return livingworld.worlds._database._engine


def connections_in_use(livingworld: LivingWorld) -> int:
    """Return how many connections the pool believes to be at work."""
    pool = engine_of(livingworld).pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


async def eventually(happened: Callable[[], Awaitable[bool]]) -> bool:
    """Return True as soon as it happened, False when it did not in a time in which everything else does."""
    try:
        await until(happened)
    except TimeoutError:
        return False
    return True


async def assert_nothing_left(livingworld: LivingWorld, observer: Connection) -> None:
    """Fail when a connection, a transaction, a lock or half a unit was left behind."""

    async def clean() -> bool:
        return connections_in_use(livingworld) == 0 and not await observer.fetch(_LEFT)

    assert await eventually(clean), (connections_in_use(livingworld), await observer.fetch(_LEFT))
    assert not await observer.fetch(_TORN)


async def count(observer: Connection, table: str, **where: object) -> int:
    """Return how many rows of a table of livingworld have these values."""
    condition = " AND ".join(f"{column} = ${place}" for place, column in enumerate(where, start=1)) or "true"
    found: int = await observer.fetchval(f"SELECT count(*) FROM livingworld.{table} WHERE {condition}", *where.values())  # noqa: S608 - names from tests
    return found


async def scene_contents(observer: Connection, story_id: UUID) -> list[Any]:
    """Return the texts of a story in the order of their numbers, which must be 1..n."""
    rows = await observer.fetch(
        "SELECT scene_number, content FROM livingworld.scenes WHERE story_id = $1 ORDER BY scene_number", story_id
    )
    assert [row["scene_number"] for row in rows] == list(range(1, len(rows) + 1))
    return [row["content"] for row in rows]
