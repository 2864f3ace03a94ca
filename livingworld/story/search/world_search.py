"""Search outside of transactions, where texts can be indexed too."""

from __future__ import annotations

from typing import Final

from livingworld.inputs import check_integer
from livingworld.postgres.transactions.world_database import WorldDatabase
from livingworld.story.search.indexing import index_scenes, read_backlog
from livingworld.story.search.records import SearchBacklog
from livingworld.story.search.repository import Search

#: Most texts that one call indexes.
MAX_INDEXED: Final = 10_000


class WorldSearch(Search):
    """The texts of one world; a purge waits for what is being indexed, so no transaction may go on with it."""

    def __init__(self, unit: WorldDatabase) -> None:
        super().__init__(unit)
        self._database = unit

    async def index(self, limit: int = 256) -> int:
        """Index the words of up to `limit` texts of scenes that are not indexed yet, and return how many there were.

        Every process does so by itself for the worlds that it writes and searches, unless `index_words` is off. Several
        may do so at once: none does another's work, and no writer waits.
        """
        check_integer("limit", limit, minimum=1, maximum=MAX_INDEXED)
        return await self._database.write_single_idempotent(index_scenes, limit)

    async def backlog(self) -> SearchBacklog:
        """Return how many texts of scenes are not indexed yet, and since when. One round trip."""
        return await self._database.read(read_backlog)
