"""A connection of the pool, for as long as a unit needs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from livingworld.postgres.connections.driver_errors import DRIVER_EXCEPTIONS, name_failure


@asynccontextmanager
async def pooled_connection(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Take a connection and give it back; one that is lost meanwhile never hides why the block was left."""
    reason: BaseException | None = None
    try:
        async with engine.connect() as connection:
            try:
                yield connection
            except BaseException as error:
                reason = error
                raise
    except DRIVER_EXCEPTIONS as lost:
        if reason is None or reason is lost:
            raise
        reason.add_note(f"The session was lost meanwhile, and everything was rolled back: {name_failure(lost).cause}")
    if reason is not None:
        raise reason
