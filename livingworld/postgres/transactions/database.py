"""The runner: the one place that commits, repeats whole units, and decides what a lost COMMIT means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast
from uuid import UUID

from livingworld.deadlines import call_end
from livingworld.errors import CallTimeout, Closed, CommitUnknown, LivingWorldError, ServerReadOnly, StatementTimeout
from livingworld.observability import events
from livingworld.observability.calls import current_call
from livingworld.observability.metrics import Metrics
from livingworld.postgres.connections.connection_pool import ConnectionPool
from livingworld.postgres.connections.engine import close_engine, pooled_connection
from livingworld.postgres.connections.scope import scopes
from livingworld.postgres.connections.time_limits import transaction_limits, unit_limits
from livingworld.postgres.driver_errors.failures import DRIVER_EXCEPTIONS, Failure, RetryKind
from livingworld.postgres.transactions.admission import Admission
from livingworld.postgres.transactions.backlog import Backlog
from livingworld.postgres.transactions.committing import commit
from livingworld.postgres.transactions.connection_places import ConnectionPlaces
from livingworld.postgres.transactions.end_of_transaction import Notify, WorkLeft
from livingworld.postgres.transactions.failed_attempts import driver_failure, raise_failure, report_failure
from livingworld.postgres.transactions.joining import joined
from livingworld.postgres.transactions.lock_waits import LockWaits
from livingworld.postgres.transactions.lock_watch import LockWatch
from livingworld.postgres.transactions.overdue import CancelSession
from livingworld.postgres.transactions.pool_gauges import observe_pool
from livingworld.postgres.transactions.replication import wait_for_standbys
from livingworld.postgres.transactions.retry import RolledBack, run_within_budgets
from livingworld.postgres.transactions.several_nodes import SeveralNodes, in_doubt, one_node
from livingworld.postgres.transactions.single_statement import SingleStatement
from livingworld.postgres.transactions.transaction import LockedRow, T, Transaction, Work
from livingworld.postgres.transactions.unit import Phase, Unit
from livingworld.postgres.transactions.unit_meter import UnitMeter

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

    from livingworld.settings.settings import Settings

_NO_LIMITS: Final[Mapping[str, timedelta]] = MappingProxyType({})


class Database:
    """A pool of connections to one database. Each unit is a transaction of its own, with retries."""

    #: The open transactions, and what they meet at locks; one object for the pools of one LivingWorld.
    lock_watch: LockWatch
    several_nodes: SeveralNodes

    def __init__(
        self,
        engine: AsyncEngine,
        settings: Settings,
        backlog: Backlog | None = None,
        *,
        admission: Admission | None = None,
        metrics: Metrics | None = None,
        name: str = "work",
    ) -> None:
        """`admission` and `metrics` are shared by the pools of one LivingWorld; by default the pool has its own."""
        self._admission = admission or Admission()
        self._engine, self._settings, self.scope = engine, settings, scopes(settings)
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._limits = transaction_limits(settings) if settings.limits_set_by() == "transaction" else {}
        self._longest_prepared = settings.command_timeout.total_seconds() if settings.keeps_statements() else 0
        self._places = ConnectionPlaces(settings)
        self._lock_waits, self._closed = LockWaits(self._places.lock_waits), False
        self.meter = UnitMeter(metrics or Metrics(), engine.url)
        self.call_timeout: timedelta | None = settings.call_timeout
        #: The calls of this process that have no answer yet.
        self.backlog = backlog or Backlog(settings.queue_limit, settings.queue_characters)
        observe_pool(self.meter.metrics, name, engine, self.backlog, self._lock_waits)
        self.lock_watch, self.several_nodes = LockWatch(settings, self.meter.metrics), one_node
        #: Cancels the statement of a session; None where that is not possible.
        self.cancel_session: CancelSession | None = None
        #: Wakes the subscribers of a topic; called after each commit.
        self.notify: Notify = lambda _: None
        #: Takes notice of a world for which a commit left work in the background; called after that commit.
        self.work_left: WorkLeft = lambda _: None

    async def close(self) -> None:
        """Close every connection, a busy one when its unit ends; no other unit begins."""
        self._closed = True
        await close_engine(self._engine)

    async def run(
        self,
        work: Work[T],
        *,
        repeatable: bool = False,
        single_statement: bool = False,
        world_id: UUID | None = None,
        lock_timeout: timedelta | None = None,
        overdue: timedelta | None = None,
        snapshot: bool = False,
    ) -> T:
        """Run `work` as one transaction, of a world, and return its result; see WorldUnit.

        Runs it again when PostgreSQL rolled it back, within both budgets, and when it met a row that another session
        holds, for `lock_timeout` (default: the setting; 0: never). A single statement that runs for longer than
        `overdue` is cancelled: StatementTimeout. Raises CommitUnknown when the connection was lost, or the deadline of
        the call passed, in COMMIT and the work is not repeatable; CallTimeout when the deadline passed before COMMIT.
        """
        self.refuse_misplaced()
        unit = Unit(work, world_id, repeatable, single_statement, overdue, snapshot, current_call.get())
        patience = self._settings.lock_timeout if lock_timeout is None else lock_timeout
        lost: RolledBack | None = None
        self.backlog.enter()
        try:
            return await self._until_deadline(unit, patience)
        except RolledBack as signal:
            lost = signal
        except Exception as error:
            if overdue is None or not isinstance(error, StatementTimeout):  # the caller tries it again in parts
                report_failure(self.meter, unit.began, error)
            raise
        finally:
            self.backlog.leave()
        if patience or lost.kind is not RetryKind.LOCK:  # without patience the caller tries it again in parts
            report_failure(self.meter, unit.began, lost.traced_error())
        raise lost.error from lost.cause

    async def _until_deadline(self, unit: Unit[T], lock_timeout: timedelta) -> T:
        end = call_end(self._settings.call_timeout)
        timer, once = asyncio.timeout_at(end), partial(self._try, unit, lock_timeout, end)
        unit.has_timer = end - asyncio.get_running_loop().time() < self._longest_prepared
        try:
            async with timer:
                result = await run_within_budgets(once, self._settings, end, self.meter.retried)
                self.meter.committed(unit.began)
                return result
        except TimeoutError:
            if not timer.expired():
                raise
        if unit.phase is Phase.COMMITTING and not unit.repeatable:
            raise CommitUnknown
        raise CallTimeout

    async def _try(self, unit: Unit[T], lock_timeout: timedelta, end: float) -> T:
        """Run a unit; when it meets a row that another session holds, run it again when the row may be free."""
        began, met_at = asyncio.get_running_loop().time(), perf_counter()
        try:
            return await self._attempt(unit, None, None)
        except RolledBack as signal:
            if signal.kind is not RetryKind.LOCK:
                raise
            met = signal
        self.lock_watch.contention.met(met.row)
        if not lock_timeout:
            raise met
        events.emit(events.LOCK_AWAITED, milliseconds=round((perf_counter() - met_at) * 1000))
        until = min(end, began + lock_timeout.total_seconds())
        with self.lock_watch.waiting(met.row, met_at, unit, self.meter):
            return await self._lock_waits.run_again(met, partial(self._attempt, unit), until)

    async def _attempt(self, unit: Unit[T], may_wait: timedelta | None, row: LockedRow | None) -> T:
        unit.attempts += 1
        if unit.call is not None:
            unit.call.retries += unit.attempts > 1
            unit.call.world_id = unit.world_id or unit.call.world_id
        if unit.single_statement and not self._limits and may_wait is None:
            return await self._statement(unit, row)
        async with self._unit(unit, may_wait, row) as tx:
            return await unit.work(tx)

    @asynccontextmanager
    async def transaction(self, world_id: UUID | None = None, *, snapshot: bool = False) -> AsyncIterator[Transaction]:
        """Open one transaction, of a world: committed when the block ends, rolled back on any error, never repeated.

        A `snapshot` only reads, all of it as of one moment. Raises TransactionPoisoned when a statement's error was
        swallowed inside, CommitUnknown when the connection was lost in COMMIT.
        """
        self.refuse_misplaced()
        lost: RolledBack | None = None
        unit = Unit(_nothing, world_id, snapshot=snapshot, call=current_call.get())
        try:
            async with self._places.block(), self._unit(unit, self._settings.lock_timeout, None) as tx:
                tx.is_block = True
                yield tx
        except RolledBack as signal:
            lost = signal
        except Exception as error:
            report_failure(self.meter, unit.began, error)
            raise
        if lost is not None:
            report_failure(self.meter, unit.began, lost.traced_error())
            raise lost.error from lost.cause
        self.meter.committed(unit.began)

    @asynccontextmanager
    async def join(
        self, connection: AsyncConnection | AsyncSession, world_id: UUID | None = None
    ) -> AsyncIterator[Transaction]:
        """Work inside a transaction that the caller opened; see World.join."""
        async with joined(connection, self._admission, world_id, self.lock_watch, self.scope(world_id)) as tx:
            tx.meter, tx.call = self.meter, current_call.get()
            yield tx
        tx.report_commit(self.notify, self.work_left)

    @asynccontextmanager
    async def _unit(
        self, unit: Unit[Any], may_wait: timedelta | None, row: LockedRow | None
    ) -> AsyncIterator[Transaction]:
        """Open, hand out, commit; leave with RolledBack where the whole unit may run again.

        It may wait for locks in PostgreSQL for `may_wait`; `row` is the held row that it is the next to get.
        """
        self._refuse_if_closed()
        unit.phase = Phase.OPENING
        tx: Transaction | None = None
        failure: Failure | None = None
        try:
            async with pooled_connection(self._engine) as connection:
                limits = self._limits | unit_limits(lock=may_wait, statement=unit.overdue)
                tx = self._opened(connection, unit, row, limits, may_wait=may_wait is not None)
                with self.lock_watch.watching(tx):
                    await tx.begin(snapshot=unit.snapshot, met=row)
                    unit.phase = Phase.WORKING
                    with self._admission.in_transaction():
                        yield tx
                    await commit(unit, tx, connection)
        except (LivingWorldError, *DRIVER_EXCEPTIONS) as exception:
            failure = driver_failure(exception, tx, unit.phase)
            if failure is None and unit.phase is not Phase.COMMITTED:
                raise
        if failure is not None:
            self._raise(failure, unit, tx)
        if tx is not None:
            events.emit(events.COMMITTED, statements=tx.statements, attempt=unit.attempts)
            tx.report_commit(self.notify, self.work_left)

    async def _statement(self, unit: Unit[T], row: LockedRow | None) -> T:
        """Run a single statement that is its own transaction: no BEGIN, no COMMIT, one round trip."""
        self._refuse_if_closed()
        unit.phase = Phase.OPENING
        tx: Transaction | None = None
        failure: Failure | None = None
        try:
            connection = SingleStatement(self._single, unit, self.cancel_session, self.scope(unit.world_id))
            tx = self._opened(connection, unit, row, is_single=True)
            result = await unit.work(tx)
            if unit.commit_was_lost:
                await wait_for_standbys(tx)
            unit.phase = Phase.COMMITTED
        except (LivingWorldError, *DRIVER_EXCEPTIONS) as exception:
            failure = driver_failure(exception, tx, unit.phase)
            if failure is None and unit.phase is not Phase.COMMITTED:
                raise
        if failure is not None:
            self._raise(await in_doubt(failure, unit, self.several_nodes), unit, tx)
        if tx is not None:
            tx.end.refuse_unstored()
            tx.report_commit(self.notify, self.work_left)
        return result

    def _raise(self, failure: Failure, unit: Unit[Any], tx: Transaction | None) -> NoReturn:
        if isinstance(failure.error, ServerReadOnly):  # a former primary: a new connection finds its successor
            cast("ConnectionPool", self._engine.pool).retire()
        raise_failure(failure, unit, tx)

    def _opened(
        self,
        connection: AsyncConnection | SingleStatement,
        unit: Unit[Any],
        row: LockedRow | None,
        limits: Mapping[str, timedelta] = _NO_LIMITS,
        **modes: bool,
    ) -> Transaction:
        def is_held(other: LockedRow) -> bool:
            return other != row and self._lock_waits.is_held(other)

        tx = Transaction(connection, self._admission, unit.world_id, limits=limits, is_held=is_held, **modes)
        tx.meter, tx.call, tx.lock_watch, tx.scope = self.meter, unit.call, self.lock_watch, self.scope(unit.world_id)
        return tx

    def refuse_misplaced(self) -> None:
        """Raise Closed, WrongEventLoop or AlreadyInTransaction where no unit may begin; see WorldUnit."""
        self._refuse_if_closed()
        self._admission.refuse_misplaced()

    def refuse_other_loops(self) -> None:
        """Raise WrongEventLoop; see WorldUnit."""
        self._admission.refuse_other_loops()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Closed


async def _nothing(_: Transaction) -> None:
    """Do nothing: the work is the caller's block."""
