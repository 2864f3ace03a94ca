"""Races that happen in every run: PostgreSQL is the barrier.

One session holds a row or an advisory lock, the writers under test wait for it, the test waits until PostgreSQL reports
that they do, releases the lock, and then asserts outcome, error and rows. No sleep is involved.

    the_row = "SELECT FROM livingworld.stories WHERE world_id = $1 AND story_id = $2 FOR UPDATE"
    async with holding(database_url, the_row, [world.id, story.id]) as holder:
        writers = [asyncio.create_task(write(number)) for number in range(4)]
        await holder.until_blocked(count=4)
    results = await asyncio.gather(*writers, return_exceptions=True)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeAlias

import asyncpg

from livingworld.postgres.connections.connecting import connect
from livingworld.settings.database_url import connection_target

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_POLL: Final = timedelta(milliseconds=5)
_PATIENCE: Final = timedelta(seconds=30)
_CONNECT_TIMEOUT: Final = timedelta(seconds=10)
#: The state of every other session of the database; `picture` takes its rows.
SESSIONS: Final = """
    SELECT pid, state, clock_timestamp() - state_change AS for_so_long, wait_event_type, wait_event,
        pg_blocking_pids(pid) AS blockers, left(query, 120) AS query
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
    ORDER BY pid
"""


class NotBlocked(AssertionError):  # noqa: N818 - named for what happened, as in livingworld.errors
    """Fewer sessions than expected wait: the writers under test do not take the lock, or never reach it."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A session that holds the locks of its statement, and a second session that observes the waiters."""

    connection: Connection
    observer: Connection
    #: Its PostgreSQL process.
    pid: int

    async def until_blocked(self, *, count: int = 1, patience: timedelta = _PATIENCE) -> frozenset[int]:
        """Wait until `count` sessions wait for this one; see the function of the same name."""
        return await until_blocked(self.observer, by=self.pid, count=count, patience=patience)


@asynccontextmanager
async def holding(
    url: str, statement: str, parameters: Sequence[object] = (), *, commit: bool = False
) -> AsyncIterator[Holder]:
    """Hold what `statement` locks ($1 and so on for parameters) while the block runs.

    Its transaction is rolled back when the block ends, or committed when that is asked for and the block did not fail.
    """
    async with connected(url) as connection, connected(url) as observer:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(statement, *parameters)
            yield Holder(connection, observer, connection.get_server_pid())
        except BaseException:
            await transaction.rollback()
            raise
        await (transaction.commit() if commit else transaction.rollback())


async def until_blocked(
    observer: Connection, *, by: int, count: int = 1, patience: timedelta = _PATIENCE
) -> frozenset[int]:
    """Return the sessions that wait for session `by`, directly or behind each other, when there are `count` of them.

    Raises NotBlocked, with a picture of all sessions of the database, when it takes longer than `patience`. The
    observer is a connection that is in no transaction: inside one it would always see the same snapshot.
    """
    end = asyncio.get_running_loop().time() + patience.total_seconds()
    while True:
        sessions = await observer.fetch(SESSIONS)
        waiting = waiting_behind({row["pid"]: row["blockers"] for row in sessions}, by)
        if len(waiting) >= count:
            return waiting
        if asyncio.get_running_loop().time() > end:
            message = f"{len(waiting)} of {count} sessions wait for {by} after {patience}:\n{picture(sessions)}"
            raise NotBlocked(message)
        await asyncio.sleep(_POLL.total_seconds())


def waiting_behind(blockers: Mapping[int, Sequence[int]], holder: int) -> frozenset[int]:
    """Return all sessions that wait for `holder`, directly or behind another waiter.

    The second to wait for a row waits for the first, which alone waits for the holder; so this follows the chain.
    """
    found = {holder}
    while more := {pid for pid, ahead in blockers.items() if found & set(ahead)} - found:
        found |= more
    return frozenset(found - {holder})


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """Yield a plain asyncpg connection to the database of a URL, and close it."""
    connection = await connect(connection_target(url), timeout=_CONNECT_TIMEOUT)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


def connection_arguments(url: str) -> dict[str, Any]:
    """Return what asyncpg.connect takes to reach the first host of a database URL."""
    target = connection_target(url)
    return target.arguments(target.addresses[0])


def picture(sessions: Iterable[Any]) -> str:
    """Return one line for each session, with the sessions that it waits for."""
    lines = (
        f"  {row['pid']} {row['state']} for {row['for_so_long']}, "
        f"waits for {row['wait_event_type']}:{row['wait_event']}, "
        f"blocked by {row['blockers']}: {' '.join(row['query'].split())}"
        for row in sessions
    )
    return "\n".join(lines) or "  there is no other session in this database"
