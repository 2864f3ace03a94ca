"""LangGraph's AsyncPostgresSaver: a story is a thread, a scene is the state of a checkpoint.

A checkpoint has the newest scene only, not the conversation so far, which is cheaper than what programs do. Two writers
of one thread that begin at one checkpoint fork it; each checkpoint counts here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from scenes import SampleScene
from sqlalchemy import make_url

from peers import CONNECTIONS


class LangGraphSaver:
    """The saver, and the last checkpoint of each thread."""

    def __init__(self, saver: AsyncPostgresSaver, pool: AsyncConnectionPool[Any]) -> None:
        self._saver = saver
        self._pool = pool
        self._last: dict[UUID, Any] = {}

    async def begin(self, count: int) -> Sequence[UUID]:
        """Name so many threads."""
        return [uuid4() for _ in range(count)]

    async def append(self, story_id: UUID, scene: SampleScene) -> object:
        """Put a checkpoint after the last one that this process knows."""
        config = self._last.get(story_id) or {"configurable": {"thread_id": str(story_id), "checkpoint_ns": ""}}
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"scene": {"content": scene.content, "choices": list(scene.choices)}}
        checkpoint["channel_versions"] = {"scene": checkpoint["id"]}
        metadata: Any = {"source": "loop", "step": 1, "parents": {}}
        self._last[story_id] = await self._saver.aput(config, checkpoint, metadata, checkpoint["channel_versions"])
        return self._last[story_id]

    async def stored(self, story_ids: Sequence[UUID]) -> int:
        """Return how many checkpoints of these threads are stored."""
        count = "SELECT count(*) AS checkpoints FROM checkpoints WHERE thread_id = ANY (%s)"
        async with self._pool.connection() as connection:
            cursor = await connection.execute(count, [[str(story_id) for story_id in story_ids]])
            row = await cursor.fetchone()
            return int(row["checkpoints"]) if row else 0


def _pool(url: str) -> AsyncConnectionPool[Any]:
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    session = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}  # as its documentation asks for
    return AsyncConnectionPool(address, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs=session, open=False)


async def prepare(url: str) -> str:
    """Make the tables."""
    async with _pool(url) as pool:
        await AsyncPostgresSaver(pool).setup()
    return "langgraph"


@asynccontextmanager
async def opened(url: str, _: str) -> AsyncIterator[LangGraphSaver]:
    """Open the pool."""
    async with _pool(url) as pool:
        yield LangGraphSaver(AsyncPostgresSaver(pool), pool)
