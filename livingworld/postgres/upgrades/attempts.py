"""An upgrade is tried until its steps have had their locks: a try that meets a lock of others makes way for them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

from sqlalchemy import URL, Connection, text

from livingworld.errors import DeadlockDetected, LivingWorldError, LockTimeout, StatementTimeout
from livingworld.postgres.connections.one_connection import connected
from livingworld.postgres.metadata import SCHEMA
from livingworld.postgres.upgrades.progress import Progress
from livingworld.postgres.upgrades.step import BRIEF

#: What a step meets when others hold what it needs.
_HELD: Final = (LockTimeout, StatementTimeout, DeadlockDetected)
#: After so many tries the pause between two grows no more.
_LONGEST_PAUSE: Final = 5
_HOLDERS: Final = text("""
    SELECT array_agg(DISTINCT l.pid ORDER BY l.pid)
    FROM pg_locks l
    JOIN pg_class c ON c.oid = l.relation AND c.relnamespace = to_regnamespace(:schema)
    JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
    JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE c.relname = ANY (CAST(:tables AS text[])) AND l.granted AND l.pid <> pg_backend_pid()
        AND coalesce(a.xact_start < clock_timestamp() - CAST(:held_for AS interval), true)
""")


async def until_done(url: str | URL, attempt: Callable[[Connection], None], progress: Progress) -> None:
    """Run `attempt` on a connection of its own, and again after a pause while others hold what a step needs.

    What a try has committed stays; the next one goes on after it. Raises MigrationBlocked when one step was tried for
    the limit of `progress`.
    """
    while (error := await _failure_of(url, attempt)) is not None:
        progress.blocked(type(error).__name__, await _sessions_in_the_way(url, progress.tables))
        pause = min(progress.tries, _LONGEST_PAUSE) * random.uniform(0.5, 1)  # noqa: S311 - no secret
        await asyncio.sleep(pause)


async def _failure_of(url: str | URL, attempt: Callable[[Connection], None]) -> LivingWorldError | None:
    try:
        async with connected(url) as connection:
            await connection.run_sync(attempt)
    except _HELD as error:
        return error
    return None


async def _sessions_in_the_way(url: str | URL, tables: tuple[str, ...]) -> tuple[int, ...]:
    """Return the processes that have held a lock on the tables for longer than a step waits."""
    parameters = {"schema": SCHEMA, "tables": list(tables), "held_for": BRIEF}
    async with connected(url) as connection:
        return tuple(await connection.scalar(_HOLDERS, parameters) or ())
