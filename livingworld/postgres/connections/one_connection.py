"""A connection for work that is done once, such as a migration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from livingworld.postgres.connections.engine import unpooled_engine
from livingworld.postgres.driver_errors.failures import DRIVER_EXCEPTIONS, name_failure


@asynccontextmanager
async def connected(url: str | URL) -> AsyncIterator[AsyncConnection]:
    """Yield a connection outside any pool; an error of the driver in the block becomes a named error."""
    failure = None
    engine = unpooled_engine(url)
    try:
        async with engine.connect() as connection:
            yield connection
    except DRIVER_EXCEPTIONS as exception:
        failure = name_failure(exception)
    finally:
        await engine.dispose()
    if failure is not None:
        raise failure.error from failure.cause
