"""SQLAlchemy's pool, whose connections can also be taken without what SQLAlchemy does around each use of one."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn


class ConnectionPool(AsyncAdaptedQueuePool):
    """A pool of which an entry can be taken: its `driver_connection` is open, and in no transaction."""

    #: How many uses wait for a connection, or open one.
    _asking = 0
    _disposed = False

    async def take(self) -> ConnectionPoolEntry:
        """Take an entry, which is to be given back; waits for one, or connects, when none is idle."""
        if not self._asking and not self._pool.empty():  # who waits is not overtaken
            entry = self._pool.get_nowait()
            if not _is_closed(entry) and not self._is_retired(entry):
                return entry
            self._do_return_conn(entry)
        return await greenlet_spawn(self._take_open)

    async def give_back(self, entry: ConnectionPoolEntry, *, broken: bool = False) -> None:
        """Give an entry back; a broken connection is closed, and so is every one after the pool was disposed of."""
        try:
            if broken:
                await greenlet_spawn(entry.invalidate)
            elif self._disposed:
                await greenlet_spawn(entry.close)
        finally:
            self._do_return_conn(entry)

    def retire(self) -> None:
        """Replace each connection that is open now before its next use: the server takes writes no longer."""
        self._invalidate_time = time.time()

    def dispose(self) -> None:
        """Close the idle connections."""
        self._disposed = True
        super().dispose()

    def _is_retired(self, entry: Any) -> bool:  # noqa: ANN401 - an entry; SQLAlchemy's type lacks its time
        return bool(entry.starttime < self._invalidate_time)

    def _do_get(self) -> ConnectionPoolEntry:
        self._asking += 1
        try:
            return super()._do_get()
        finally:
            self._asking -= 1

    def _take_open(self) -> Any:  # noqa: ANN401 - an entry; SQLAlchemy's type lacks what opens its connection
        entry: Any = self._do_get()
        try:
            if _is_closed(entry):
                entry.invalidate()
            entry.get_connection()
        except BaseException:
            self._do_return_conn(entry)
            raise
        return entry


def _is_closed(entry: ConnectionPoolEntry) -> bool:
    """Return whether an entry has no connection, or one that the server has closed."""
    driver_connection = entry.driver_connection
    return driver_connection is None or driver_connection.is_closed()
