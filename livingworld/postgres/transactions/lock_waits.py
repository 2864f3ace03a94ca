"""Waiting for locks that others hold, on few connections, so that one held row stops its own waiters only.

A unit first runs as everybody's does: its session gives up a lock after `prompt_lock_timeout`, so no connection is
taken for longer. What met a held row then queues here, without a connection, behind those who met the same row before;
the first of a row goes on trying, on one of the few places that may wait in PostgreSQL, or by looking again and again
while these are taken.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeVar

from livingworld.postgres.connections.driver_errors import RetryKind
from livingworld.postgres.transactions.retry import RolledBack
from livingworld.postgres.transactions.transaction import LockedRow

T = TypeVar("T")
#: Runs a unit once: how long it may wait in PostgreSQL (None: no longer than anybody), and the row it may wait for.
Attempt = Callable[[timedelta | None, LockedRow | None], Awaitable[T]]

#: So long apart are the looks at a row while no place is free, in seconds.
_FIRST_LOOK: Final = 0.01
_LOOKS_APART: Final = 0.5


@dataclass(slots=True)
class _Queue:
    """Those who met one row: the lock's holder tries, the others wait in order of arrival."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    members: int = 0


class LockWaits:
    """Who in this process waits for which row."""

    def __init__(self, places: int) -> None:
        #: Connections that may wait in PostgreSQL at once.
        self._places = asyncio.Semaphore(places) if places else None
        self._queues: dict[LockedRow, _Queue] = {}

    def is_held(self, row: LockedRow) -> bool:
        """Return whether somebody here waits for the row; whoever comes now would only wait behind him."""
        return row in self._queues

    async def get_through(self, met: RolledBack, attempt: Attempt[T], until: float) -> T:
        """Run a unit again until it meets no held row any more, or raise its last signal at `until`."""
        while True:
            row = met.row
            async with self._turn(met, until):
                looks = 0
                while (left := until - _now()) > 0:
                    async with self._place(min(left, _pause(looks))) as may_wait:
                        limit = timedelta(seconds=max(until - _now(), 0.001)) if may_wait else None
                        try:
                            return await attempt(limit, row)
                        except RolledBack as signal:
                            if signal.kind is not RetryKind.LOCK:
                                raise
                            met = signal
                    if met.row not in {row, None}:
                        break
                    if may_wait:  # it did not use its time: what it met is asked for without a wait
                        await asyncio.sleep(min(max(until - _now(), 0), _pause(looks)))
                    looks += 1
                else:
                    raise met

    @asynccontextmanager
    async def _turn(self, met: RolledBack, until: float) -> AsyncIterator[None]:
        """Wait until those who met the same row before are done; raises `met` when that takes too long."""
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
        """Give one of the places that may wait, or False when none became free in time."""
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


def _pause(looks: int) -> float:
    """Return how long to wait before the next look; at random, so that those who look do not meet."""
    return random.uniform(0.5, 1) * min(_FIRST_LOOK * 2.0 ** min(looks, 16), _LOOKS_APART)  # noqa: S311 - no secret


def _now() -> float:
    return asyncio.get_running_loop().time()
