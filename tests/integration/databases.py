"""The database layer by itself, opened on a test's database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from livingworld import Settings
from livingworld.postgres.connections.engine import create_engine
from livingworld.postgres.transactions.database import Database


@asynccontextmanager
async def opened(database_url: str, **overrides: object) -> AsyncIterator[Database]:
    """Give a Database with these settings, and close it."""
    settings = Settings.load(database_url=database_url, **overrides)
    url = settings.url()
    assert url is not None
    database = Database(create_engine(settings, url), settings)
    try:
        yield database
    finally:
        await database.close()
