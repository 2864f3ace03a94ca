"""How many of a process's connections may wait for locks; the others are for what does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from livingworld.errors import PoolTimeout

if TYPE_CHECKING:
    from livingworld.settings.settings import Settings

#: One connection in this many is kept for calls that wait for no lock, and one for calls that met a held row.
_SHARE: Final = 5


class ConnectionPlaces:
    """Limits how many calls may wait for locks while they hold a connection."""

    def __init__(self, settings: Settings) -> None:
        share = max(1, settings.pool_size // _SHARE)
        #: For calls that met a held row; in the smallest pools there are none, and those calls poll instead.
        self.lock_waits: Final = share if settings.pool_size > 2 * share else 0
        kept = share if settings.pool_size > share else 0
        #: For transactions of the application, which wait on the connection that they hold.
        self._blocks = asyncio.Semaphore(settings.pool_size - kept - self.lock_waits)
        self._patience = settings.pool_timeout.total_seconds()

    @asynccontextmanager
    async def block(self) -> AsyncIterator[None]:
        """Hold one of the places for transactions of the application; raises PoolTimeout when none becomes free."""
        try:
            async with asyncio.timeout(self._patience):
                await self._blocks.acquire()
        except TimeoutError:
            raise PoolTimeout from None
        try:
            yield
        finally:
            self._blocks.release()
