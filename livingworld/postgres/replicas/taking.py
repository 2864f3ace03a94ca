"""Takes a connection to a standby in a bounded time; one that comes later is for the next read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, cast

from sqlalchemy.pool import ConnectionPoolEntry

from livingworld.background.tasks import BackgroundTasks
from livingworld.errors import Closed, PoolTimeout
from livingworld.postgres.connections.connection_pool import ConnectionPool
from livingworld.postgres.driver_errors.failures import DRIVER_EXCEPTIONS, name_failure
from livingworld.postgres.replicas.rest import Rest
from livingworld.postgres.replicas.unused import Reason, StandbyUnused

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


class Taking:
    """Takes connections from the pool of a standby."""

    def __init__(self, engine: AsyncEngine, tasks: BackgroundTasks, rest: Rest, patience: float) -> None:
        self.pool = cast("ConnectionPool", engine.pool)
        self._tasks, self._rest, self._patience = tasks, rest, patience

    async def take(self) -> ConnectionPoolEntry:
        """Take an entry of the pool; raises StandbyUnused.

        Connecting goes on when it takes longer than a read may wait, and then ends a rest: else a standby on a slow
        line would never be used.
        """
        if (idle := self.pool.take_idle()) is not None:
            return idle
        taking = self._tasks.watch(self.pool.take())
        try:
            await asyncio.wait((taking,), timeout=self._patience)
        except BaseException:
            self._tasks.watch(self._give_back(taking))
            raise
        if not taking.done():
            self._tasks.watch(self._give_back(taking))
            raise StandbyUnused(Reason.SLOW, rests=True)
        if taking.cancelled():  # the LivingWorld was closed
            raise Closed
        return _entry(taking)

    async def warm(self) -> None:
        """See that a connection is idle, or raise StandbyUnused."""
        if not self.pool.checkedin():
            await self.pool.give_back(await self.take())

    async def in_time(self, proof: Awaitable[None]) -> None:
        """Await what a standby that is well answers soon; raises StandbyUnused."""
        try:
            async with asyncio.timeout(self._patience):
                await proof
        except TimeoutError:
            raise StandbyUnused(Reason.SLOW, rests=True) from None

    async def _give_back(self, taking: asyncio.Task[ConnectionPoolEntry]) -> None:
        try:
            await asyncio.wait((taking,))
        except BaseException:
            taking.add_done_callback(lambda done: None if done.cancelled() else done.exception())
            raise
        if not taking.cancelled() and taking.exception() is None:
            await self.pool.give_back(taking.result())
            self._rest.end()


def _entry(taking: asyncio.Task[ConnectionPoolEntry]) -> ConnectionPoolEntry:
    try:
        return taking.result()
    except DRIVER_EXCEPTIONS as exception:
        error = name_failure(exception).error
    if isinstance(error, PoolTimeout):
        raise StandbyUnused(Reason.BUSY)
    raise StandbyUnused(Reason.UNAVAILABLE, rests=True, error=error)
