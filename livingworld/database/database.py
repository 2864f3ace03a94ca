"""The runner: the one place that commits, retries whole units, and says what a lost COMMIT means."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import NoReturn

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from livingworld.database.driver_errors import DRIVER_EXCEPTIONS, Failure, RetryKind, name_failure
from livingworld.database.engine import transaction_limits
from livingworld.database.retry import RolledBack, run_within_budgets
from livingworld.database.transaction import Notify, T, Transaction, Work
from livingworld.errors import (
    Closed,
    CommitUnknown,
    Conflict,
    InvalidInput,
    LivingWorldError,
    NotFound,
    SerializationFailure,
)
from livingworld.observability import events
from livingworld.settings import Settings


class Database:
    """A pool of connections to one database; as a UnitOfWork each unit is a transaction of its own, with retries."""

    def __init__(self, engine: AsyncEngine, settings: Settings) -> None:
        self._engine = engine
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._settings = settings
        self._limits = transaction_limits(settings) if settings.behind_pooler else {}
        self._closed = False
        #: Tells a topic to whoever hears it; called after each commit.
        self.notify: Notify = lambda _: None

    async def close(self) -> None:
        """Close every connection, those at work as soon as their unit ends; no other unit begins."""
        self._closed = True
        event.listen(self._engine.sync_engine, "checkin", _close_connection)
        await self._engine.dispose()

    async def run(self, work: Work[T], *, repeatable: bool = False, single_statement: bool = False) -> T:
        """Run `work` as one transaction and return its result; see UnitOfWork.

        Runs it again when PostgreSQL said that it rolled it back, within both budgets. Raises CommitUnknown when the
        connection was lost in COMMIT and the work is not repeatable.
        """
        attempt = 0

        async def unit() -> T:
            nonlocal attempt
            attempt += 1
            if single_statement and not self._limits:
                return await self._statement(work, repeatable=repeatable)
            async with self._unit(attempt, repeatable=repeatable) as tx:
                return await work(tx)

        lost: RolledBack | None = None
        try:
            return await run_within_budgets(unit, self._settings)
        except RolledBack as signal:
            lost = signal
        except Exception as error:
            _report(error)
            raise
        _report(lost.told())
        raise lost.error from lost.cause

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open one transaction: committed when the block ends, rolled back on any error, never repeated.

        Raises TransactionPoisoned when a statement's error was swallowed inside, CommitUnknown when the connection was
        lost in COMMIT.
        """
        lost: RolledBack | None = None
        try:
            async with self._unit(1, repeatable=False) as tx:
                yield tx
        except RolledBack as signal:
            lost = signal
        except Exception as error:
            _report(error)
            raise
        if lost is not None:
            _report(lost.told())
            raise lost.error from lost.cause

    @asynccontextmanager
    async def _unit(self, attempt: int, *, repeatable: bool) -> AsyncIterator[Transaction]:
        """Open, hand out, commit; leave with RolledBack where the whole unit may run again."""
        self._refuse_if_closed()
        phase = _Phase.OPENING
        tx: Transaction | None = None
        failure: Failure | None = None
        try:
            async with self._engine.connect() as connection:
                tx = Transaction(connection, limits=self._limits)
                await tx.begin()
                phase = _Phase.WORKING
                yield tx
                phase = _Phase.CHECKING
                await tx.refuse_if_poisoned()
                tx.refuse_if_lost()
                await tx.publish()
                phase = _Phase.COMMITTING
                await connection.commit()
                phase = _Phase.COMMITTED
        except (LivingWorldError, *DRIVER_EXCEPTIONS) as exception:
            failure = _failure(exception, tx, phase)
            if failure is None and phase is not _Phase.COMMITTED:
                raise
        if failure is not None:
            _raise(failure, ambiguous=phase is _Phase.COMMITTING and not failure.answered, repeatable=repeatable)
        if tx is not None:
            events.emit(events.COMMITTED, statements=tx.statements, attempt=attempt)
            tx.tell(self.notify)

    async def _statement(self, work: Work[T], *, repeatable: bool) -> T:
        """Run a single statement that is its own transaction: no BEGIN, no COMMIT, one round trip."""
        self._refuse_if_closed()
        phase = _Phase.OPENING
        tx: Transaction | None = None
        failure: Failure | None = None
        try:
            async with self._single.connect() as connection:
                tx = Transaction(connection, limits={}, is_single=True)
                phase = _Phase.COMMITTING
                result = await work(tx)
                phase = _Phase.COMMITTED
        except (LivingWorldError, *DRIVER_EXCEPTIONS) as exception:
            failure = _failure(exception, tx, phase)
            if failure is None and phase is not _Phase.COMMITTED:
                raise
        if failure is not None:
            _raise(failure, ambiguous=phase is _Phase.COMMITTING and not failure.answered, repeatable=repeatable)
        if tx is not None:
            tx.refuse_unpublished()
            tx.tell(self.notify)
        return result

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Closed


class _Phase(Enum):
    """How far one attempt has come: decides what an exception means."""

    OPENING = "opening"
    WORKING = "working"
    CHECKING = "checking"
    COMMITTING = "committing"
    COMMITTED = "committed"


def _close_connection(_: object, entry: ConnectionPoolEntry) -> None:
    """Close what comes back to a pool that nobody will empty again."""
    entry.close()


def _failure(exception: Exception, tx: Transaction | None, phase: _Phase) -> Failure | None:
    """Return what the driver reported, or None when the exception is somebody else's or comes after the commit."""
    if phase is _Phase.COMMITTED:
        return None
    if isinstance(exception, LivingWorldError):
        ours = tx is not None and tx.failure is not None and tx.failure.error is exception
        return tx.failure if tx is not None and ours else None
    return None if phase is _Phase.WORKING else name_failure(exception)


def _raise(failure: Failure, *, ambiguous: bool, repeatable: bool) -> NoReturn:
    if ambiguous and not repeatable:
        raise CommitUnknown from failure.cause
    if ambiguous or failure.retry is not None:
        raise RolledBack(failure.error, failure.cause, failure.retry or RetryKind.OUTAGE)
    raise failure.error from failure.cause


def _report(error: BaseException) -> None:
    """Log what nobody could expect; a refusal that the caller is told about is no failure."""
    refusal = isinstance(error, InvalidInput | NotFound | Conflict | Closed)
    if not refusal or isinstance(error, SerializationFailure):
        events.emit_failure(error)
