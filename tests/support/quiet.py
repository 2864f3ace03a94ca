"""A LivingWorld that sends nothing of its own while a test counts statements."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from livingworld import LivingWorld, Settings


@asynccontextmanager
async def open_quietly(url: str, **settings: object) -> AsyncIterator[LivingWorld]:
    """Open it without the indexing of words, which begins a second after a commit, and without looks at locks.

    A statement that takes a quarter of a second, as any may on a busy machine, has the locks of the database looked at.
    """
    async with LivingWorld.open(Settings.load(database_url=url, index_words=False, **settings)) as livingworld:
        livingworld._process.database.lock_watch.close()
        yield livingworld
