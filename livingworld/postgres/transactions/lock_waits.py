"""Waiting for held locks on few connections, so that one held row delays its own waiters only.

A unit first runs with the short `prompt_lock_timeout`, so it occupies a connection for no longer than that. A unit that
met a held row then queues here, without a connection, behind the units that met the same row before. The first unit of
a row's queue goes on trying: on one of the few connections that may wait in PostgreSQL, or by polling while these are
taken.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeVar

from livingworld.postgres.driver_errors.failures import RetryKind
from livingworld.postgres.transactions.retry import RolledBack
from livingworld.postgres.transactions.transaction import LockedRow

T = TypeVar("T")
#: Runs a unit once: how long it may wait in PostgreSQL (None: `prompt_lock_timeout`), and the row it may wait for.
Attempt = Callable[[timedelta | None, LockedRow | None], Awaitable[T]]

#: Between two attempts to get a row while no place is free, in seconds.
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.5


@dataclass(slots=True)
class _Queue:
    """The units that met one row: the holder of `lock` tries, the others wait in order of arrival."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    members: int = 0


class LockWaits:
    """The units of this process that wait for held rows."""

    def __init__(self, places: int) -> None:
        #: Connections that may wait in PostgreSQL at once.
        self._places = asyncio.Semaphore(places) if places else None
        self._queues: dict[LockedRow, _Queue] = {}

    @property
    def waiting(self) -> int:
        """How many units wait."""
        return sum(queue.members for queue in self._queues.values())

    def is_held(self, row: LockedRow) -> bool:
        """Return whether a unit of this process waits for the row: another one would only wait behind it."""
        return row in self._queues

    async def run_again(self, met: RolledBack, attempt: Attempt[T], until: float) -> T:
        """Run a unit again until it meets no held row, or raise its last signal at `until`."""
        while True:
            row = met.row
            async with self._turn(met, until):
                attempts = 0
                while (left := until - _now()) > 0:
                    async with self._place(min(left, _pause(attempts))) as may_wait:
                        limit = timedelta(seconds=max(until - _now(), 0.001)) if may_wait else None
                        try:
                            return await attempt(limit, row)
                        except RolledBack as signal:
                            if signal.kind is not RetryKind.LOCK:
                                raise
                            met = signal
                    if met.row not in {row, None}:
                        break
                    if may_wait:  # it did not use its time: the lock that it met is asked for without a wait
                        await asyncio.sleep(min(max(until - _now(), 0), _pause(attempts)))
                    attempts += 1
                else:
                    raise met

    @asynccontextmanager
    async def _turn(self, met: RolledBack, until: float) -> AsyncIterator[None]:
        """Wait until the units that met the same row before are done; raises `met` when that takes too long."""
        if met.row is None:
            yield
            return
        queue = self._queues.setdefault(met.row, _Queue())
        queue.members += 1
        try:
            if not await _acquired(queue.lock, until - _now()):
                raise met
            try:
                yield
            finally:
                queue.lock.release()
        finally:
            queue.members -= 1
            if not queue.members:
                del self._queues[met.row]

    @asynccontextmanager
    async def _place(self, patience: float) -> AsyncIterator[bool]:
        """Hold one of the connections that may wait and yield True, or yield False when none became free in time."""
        if self._places is None:
            await asyncio.sleep(patience)
            yield False
        elif await _acquired(self._places, patience):
            try:
                yield True
            finally:
                self._places.release()
        else:
            yield False


async def _acquired(lock: asyncio.Lock | asyncio.Semaphore, patience: float) -> bool:
    """Acquire within `patience` seconds, or return False."""
    try:
        async with asyncio.timeout(patience):
            return await lock.acquire()
    except TimeoutError:
        return False


def _pause(attempts: int) -> float:
    """Return the pause before the next attempt; random, so that waiters spread out."""
    return random.uniform(0.5, 1) * min(_FIRST_PAUSE * 2.0 ** min(attempts, 16), _LONGEST_PAUSE)  # noqa: S311 - no secret


def _now() -> float:
    return asyncio.get_running_loop().time()
