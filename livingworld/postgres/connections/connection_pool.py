"""SQLAlchemy's pool, whose connections can also be taken without what SQLAlchemy does around each use of one."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn

from livingworld.observability import instruments
from livingworld.observability.histogram import Histogram
from livingworld.observability.metrics import Counter, Metrics


class ConnectionPool(AsyncAdaptedQueuePool):
    """A pool of which an entry can be taken: its `driver_connection` is open, and in no transaction."""

    #: How many uses wait for a connection, or open one.
    _asking = 0
    _disposed = False
    #: What is measured of it: the waits for a connection, and those that were in vain.
    _waits = Histogram()
    _timeouts = Counter()

    def measure(self, metrics: Metrics, name: str) -> None:
        """Count the uses of this pool, under a name."""
        self._waits = metrics.histogram(instruments.CONNECTION_WAIT, name)
        self._timeouts = metrics.counter(instruments.CONNECTION_TIMEOUTS, name)
        metrics.observe(instruments.CONNECTION_COUNT, self.checkedout, name, "used")
        metrics.observe(instruments.CONNECTION_COUNT, self.checkedin, name, "idle")
        metrics.observe(instruments.CONNECTION_MAX, self.size, name)
        metrics.observe(instruments.CONNECTION_PENDING, lambda: self._asking, name)

    async def take(self) -> ConnectionPoolEntry:
        """Take an entry, which is to be given back; waits for one, or connects, when none is idle."""
        idle = self.take_idle()
        return await greenlet_spawn(self._take_open) if idle is None else idle

    def take_idle(self) -> ConnectionPoolEntry | None:
        """Take an entry whose connection is idle and open, which is to be given back, or None without any."""
        if self._asking or self._pool.empty():  # who waits is not overtaken
            return None
        entry = self._pool.get_nowait()
        if _is_closed(entry) or self._is_retired(entry):
            self._do_return_conn(entry)
            return None
        self._waits.record(0.0)
        return entry

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
        began = time.perf_counter()
        try:
            return super()._do_get()
        except NoConnection:
            self._timeouts.value += 1
            raise
        finally:
            self._asking -= 1
            self._waits.record(time.perf_counter() - began)

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
