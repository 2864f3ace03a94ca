"""Which transactions of this process are open, what they wait for, and when it is time to look who holds it.

A look asks the server, so it is taken only when something takes long: never while statements are prompt, never two at
once, and the longer something takes, the less often.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from livingworld.errors import LockTimeout
from livingworld.observability.metrics import Metrics
from livingworld.postgres.driver_errors.failures import Failure, RetryKind
from livingworld.postgres.transactions.contention import Contention
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.retry import RolledBack
from livingworld.postgres.transactions.transaction import LockedRow, Transaction
from livingworld.postgres.transactions.unit import Unit
from livingworld.postgres.transactions.unit_meter import UnitMeter

if TYPE_CHECKING:
    from livingworld.settings.settings import Settings

#: So long after a statement began to wait a look comes, or one tick later: before PostgreSQL ends a deadlock.
_FIRST_LOOK_SECONDS: Final = 0.25
#: A lock statement of a transaction that takes longer has waited.
_A_WAIT_SECONDS: Final = 0.025


@dataclass(slots=True, eq=False)
class RowWait:
    """The calls of this process that wait for one row, in PostgreSQL or in the process."""

    row: LockedRow
    #: By perf_counter().
    since: float
    members: int = 0


@dataclass(slots=True)
class _Looks:
    """The looks that were taken for one long statement, or one long wait."""

    since: float
    count: int = 0


class LockWatch:
    """The open transactions of one LivingWorld, and what they met at locks."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.contention = Contention(metrics)
        #: Starts a look, unless one is under way; never blocks or raises.
        self.look: Callable[[], None] | None = None
        #: By process id: the name of the statement that a waiting session ran at the last look.
        self.statements: dict[int, str | None] = {}
        self._hold = settings.report_lock_holds_after.total_seconds()
        self._tick = min(_FIRST_LOOK_SECONDS, settings.report_lock_waits_after.total_seconds() / 2, self._hold / 2)
        self._open: dict[Transaction, float] = {}
        self._waits: dict[LockedRow, RowWait] = {}
        self._looks: dict[Transaction | RowWait, _Looks] = {}
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def watching(self, tx: Transaction) -> Iterator[None]:
        """Have a transaction of several statements watched until it has ended."""
        self._open[tx] = perf_counter()
        self._arm()
        try:
            yield
        finally:
            del self._open[tx]
            self._looks.pop(tx, None)
            for kind in tx.lock_order.refused:
                self.contention.met((kind,))
            now = perf_counter()
            for kind, since in tx.lock_order.since.items():
                is_counted = kind is LockKind.STORY and self.contention.has_stories()
                self.contention.held(kind, now - since, _stories(tx) if is_counted else ())

    @contextmanager
    def waiting(self, row: LockedRow | None, began: float, unit: Unit[Any], meter: UnitMeter) -> Iterator[None]:
        """Count and watch a unit that met a held row at a moment of perf_counter, until it goes on or gives up."""
        before, went_on, timed_out = unit.attempts, False, False
        wait = None if row is None else self._waits.setdefault(row, RowWait(row, began))
        if wait is not None:
            wait.members += 1
        self._arm()
        try:
            yield
            went_on = True
        except RolledBack as signal:
            timed_out = signal.kind is RetryKind.LOCK
            raise
        finally:
            meter.waited(began, unit.call, went_on=went_on)
            retries = unit.attempts - before
            self.contention.waited(row, perf_counter() - began, retries=retries, timed_out=timed_out)
            if wait is not None:
                self._leave(wait)

    def _leave(self, wait: RowWait) -> None:
        wait.members -= 1
        if not wait.members:
            del self._waits[wait.row]
            self._looks.pop(wait, None)

    def answered(self, tx: Transaction, row: LockedRow, seconds: float, failure: Failure | None = None) -> None:
        """Count how long a transaction that may wait waited for a lock that it asked for."""
        if tx.is_block and seconds > _A_WAIT_SECONDS:
            timed_out = failure is not None and isinstance(failure.error, LockTimeout)
            self.contention.waited(row, seconds, timed_out=timed_out)

    def open_transactions(self) -> dict[Transaction, float]:
        """Return the transactions of several statements that are open, each with the time when it began."""
        return dict(self._open)

    def row_waits(self) -> list[RowWait]:
        """Return the rows that calls of this process wait for."""
        return list(self._waits.values())

    def close(self) -> None:
        """Look no more."""
        self.look = None
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        if self._timer is None and self.look is not None:
            self._timer = asyncio.get_running_loop().call_later(self._tick, self._sweep)

    def _sweep(self) -> None:
        """Start a look when something has taken long, and come again while anything is open."""
        self._timer = None
        now = perf_counter()
        due = [each for each, since in self._ages(now) if self._is_due(each, since, now)]
        if due and self.look is not None:
            self.look()
        if self._open or self._waits:
            self._arm()

    def _ages(self, now: float) -> Iterator[tuple[Transaction | RowWait, float]]:
        """Yield what may take long, and since when: statements, holds that are long already, and waits."""
        for tx, began in self._open.items():
            if tx.sent_at:
                yield tx, tx.sent_at
            elif now - began >= self._hold:
                yield tx, began + self._hold - self._tick
        for wait in self._waits.values():
            yield wait, wait.since

    def _is_due(self, each: Transaction | RowWait, since: float, now: float) -> bool:
        """Return whether it is time for the next look at something: after one tick, two, four, eight and so on."""
        looks = self._looks.get(each)
        if looks is None or looks.since != since:
            looks = self._looks[each] = _Looks(since)
        if now - since < self._tick * 2**looks.count:
            return False
        looks.count += 1
        return True


def _stories(tx: Transaction) -> list[tuple[UUID, UUID]]:
    """Return the stories whose rows a transaction has locked."""
    keys = [key for key in tx.lock_order.held(LockKind.STORY) if len(key) == len(("rows", "world", "story"))]
    return [(UUID(world), UUID(story)) for _, world, story in keys]
