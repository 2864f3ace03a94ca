"""Whose turn it is to migrate: an advisory lock of a connection that does nothing else until the migration is over."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from livingworld.errors import LockTimeout, MigrationTimeout
from livingworld.observability import events
from livingworld.postgres.driver_errors.failures import name_failure
from livingworld.postgres.upgrades.step import Limits

LOCK: Final = "SELECT pg_advisory_xact_lock(:key)"
#: The advisory lock of whoever migrates.
LOCK_KEY: Final = int.from_bytes(b"lwmigrat", signed=True)
#: The driver's query before it keeps its snapshot until the next statement, and this one needs none.
_LETS_GO: Final = text("SET LOCAL lock_timeout = 0")
#: A statement that waits keeps its snapshot, for which the build of an index waits: so nobody waits for longer.
_ROUND: Final = timedelta(seconds=1)


async def take_turn(connection: AsyncConnection, limit: timedelta) -> None:
    """Wait until no other process migrates; from then on none does until the connection is closed.

    Its transaction has no snapshot while it is idle, so no build and no vacuum waits for it. Raises MigrationTimeout
    after `limit`.
    """
    events.emit(events.MIGRATION_WAITING, time_limit_seconds=limit.total_seconds())
    loop = asyncio.get_running_loop()
    end = loop.time() + limit.total_seconds()
    while not await _taken(connection, timedelta(seconds=end - loop.time())):
        if loop.time() > end:
            raise MigrationTimeout


async def _taken(connection: AsyncConnection, left: timedelta) -> bool:
    limits = Limits(lock=max(min(_ROUND, left), timedelta(milliseconds=1)), statement=None)
    try:
        await connection.run_sync(lambda plain: limits.set_on(plain, of_transaction=True))
        await connection.execute(text(LOCK), {"key": LOCK_KEY})
        await connection.execute(_LETS_GO)
    except DBAPIError as exception:
        if not isinstance(name_failure(exception).error, LockTimeout):
            raise
        await connection.rollback()
        return False
    return True
