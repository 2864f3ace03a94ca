"""The words of scenes are indexed in the background of each process, after the commits that wrote them.

A process indexes the worlds that it writes, and those in which a search met scenes that are not indexed. It asks the
database only then. Several processes may index one world: each skips the rows that another one has.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final
from uuid import UUID

from livingworld.background.tasks import BackgroundTasks
from livingworld.errors import LivingWorldError
from livingworld.observability import events
from livingworld.postgres.transactions.database import Database
from livingworld.postgres.transactions.world_database import WorldDatabase
from livingworld.story.search.indexing import index_scenes

#: Texts of one statement; a purge waits for one statement at most.
BATCH: Final = 128
#: What is written together is indexed together.
DELAY: Final = timedelta(seconds=1)
#: After each statement the indexer rests so many times as long as it took, and longer while this process writes: who
#: writes so much waits for its scenes, and nobody waits for their index.
_REST: Final = 3
_REST_BESIDE_WRITERS: Final = 9
#: A world whose words could not be indexed is tried again after this.
AGAIN: Final = timedelta(seconds=5)


class WordIndexer:
    """Indexes the words of scenes, one statement at a time, world after world; without work it has no task."""

    def __init__(self, database: Database, tasks: BackgroundTasks) -> None:
        self._database = database
        self._tasks = tasks
        self._worlds: dict[UUID, None] = {}
        self._task: asyncio.Task[None] | None = None
        #: Whether this process wrote, or met the queue, while the last statement was under way.
        self._is_busy = False
        self._closed = False

    def wake(self, world_id: UUID) -> None:
        """Index what is in the queue of a world, soon."""
        self._worlds[world_id] = None
        self._is_busy = True
        if self._task is None and not self._closed:
            self._task = self._tasks.watch(self._run())

    def close(self) -> None:
        """Start nothing any more; the tasks of the process are cancelled by their owner."""
        self._closed = True

    async def _run(self) -> None:
        try:
            await asyncio.sleep(DELAY.total_seconds())
            while self._worlds:
                world_id = next(iter(self._worlds))
                del self._worlds[world_id]
                await asyncio.sleep(await self._index(world_id))
        finally:
            self._task = None

    async def _index(self, world_id: UUID) -> float:
        """Index a batch of a world, and return for how many seconds to rest."""
        began = asyncio.get_running_loop().time()
        self._is_busy = False
        try:
            texts = await WorldDatabase(self._database, world_id).write_single_idempotent(index_scenes, BATCH)
        except LivingWorldError as error:
            events.emit(events.SERVICE_FAILED, service="words of scenes", error=type(error).__name__)
            self._worlds[world_id] = None
            return AGAIN.total_seconds()
        if texts == BATCH:  # there may be more
            self._worlds[world_id] = None
        took = asyncio.get_running_loop().time() - began
        return took * (_REST_BESIDE_WRITERS if self._is_busy else _REST)
