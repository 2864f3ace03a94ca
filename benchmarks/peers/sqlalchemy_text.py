"""The statement of asyncpg_by_hand, sent as text through SQLAlchemy's asyncio engine."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from scenes import SampleScene
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from peers import CONNECTIONS, asyncpg_by_hand

prepare = asyncpg_by_hand.prepare
_APPEND = text(re.sub(r"\$(\d)", r":p\1", asyncpg_by_hand.APPEND))


class SqlalchemyText:
    """An engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def begin(self, count: int) -> Sequence[UUID]:
        """Begin so many stories."""
        stories = [uuid4() for _ in range(count)]
        insert = text("INSERT INTO by_hand.stories (story_id, title) VALUES (:story_id, 'benchmark')")
        async with self._engine.begin() as connection:
            await connection.execute(insert, [{"story_id": story_id} for story_id in stories])
        return stories

    async def append(self, story_id: UUID, scene: SampleScene) -> object:
        """Append a scene."""
        async with self._engine.begin() as connection:
            values = {"p1": story_id, "p2": scene.content, "p3": scene.choices}
            return (await connection.execute(_APPEND, values)).scalar_one()

    async def stored(self, story_ids: Sequence[UUID]) -> int:
        """Return how many scenes of these stories are stored."""
        async with self._engine.connect() as connection:
            count = text("SELECT count(*) FROM by_hand.scenes WHERE story_id = ANY (:story_ids)")
            return int((await connection.execute(count, {"story_ids": list(story_ids)})).scalar_one())


@asynccontextmanager
async def opened(url: str, _: str) -> AsyncIterator[SqlalchemyText]:
    """Open the engine."""
    engine = create_async_engine(url, pool_size=CONNECTIONS, isolation_level="READ COMMITTED")
    try:
        yield SqlalchemyText(engine)
    finally:
        await engine.dispose()
