"""One open transaction: where statements run, errors get their names, and a swallowed failure is remembered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, TypeVar
from uuid import UUID

from sqlalchemy import CursorResult, Executable, text

from livingworld.deadlines import before_deadline
from livingworld.errors import LivingWorldError, LockTimeout, TransactionPoisoned
from livingworld.observability.calls import CallMeasure
from livingworld.observability.events import Event
from livingworld.postgres.announcement import announcement, begin_statement
from livingworld.postgres.connections.scope import Scope, send_ahead
from livingworld.postgres.connections.time_limits import SNAPSHOT, in_milliseconds, set_lock_timeout
from livingworld.postgres.driver_errors.failures import DRIVER_EXCEPTIONS, DriverError, Failure, RetryKind
from livingworld.postgres.replicas.wanted import Wanted
from livingworld.postgres.transactions.admission import Admission
from livingworld.postgres.transactions.end_of_transaction import EndOfTransaction, Item, Notify, StoreAll, WorkLeft
from livingworld.postgres.transactions.failure_details import detailed_failure
from livingworld.postgres.transactions.lock_order import LockOrder
from livingworld.postgres.transactions.single_statement import SingleStatement
from livingworld.postgres.transactions.text_result import TextResult
from livingworld.postgres.transactions.unit_meter import UnitMeter

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from livingworld.postgres.transactions.lock_watch import LockWatch  # it watches transactions

T = TypeVar("T")
P = ParamSpec("P")
Result = TypeVar("Result")
Work = Callable[["Transaction"], Awaitable[T]]
#: A function of a transaction and of further arguments.
Operation = Callable[Concatenate["Transaction", P], Awaitable[T]]
#: What is locked: its kind and the parts of its key.
LockedRow = tuple[object, ...]


class Transaction:
    """One transaction that is open on a connection; as a WorldUnit it is joined, never committed."""

    call_timeout: timedelta | None = None
    #: Counts its statements, also for the call that it works for.
    meter: UnitMeter | None = None
    call: CallMeasure | None = None
    #: Whether it is a block of the application: each call in it ends its own work.
    is_block = False
    #: Said ahead of its first statement; None on connections that send nothing ahead.
    scope: Scope | None = None
    #: The row whose lock was asked for last.
    row: LockedRow | None = None
    #: The held lock that it met while it was not allowed to wait.
    _met: Failure | None = None
    #: Whether a statement failed, and perhaps nobody was told.
    _suspect = False
    #: Counts what it meets at locks; None: nobody does.
    lock_watch: LockWatch | None = None
    #: Whether a lock is being asked for with a time limit of its own.
    _has_own_limit = False
    #: When the statement that runs was sent, by time.perf_counter(); 0: none runs.
    sent_at = 0.0
    #: The row that the next statement locks.
    _asked: LockedRow | None = None

    def __init__(
        self,
        connection: AsyncConnection | SingleStatement,
        admission: Admission,
        world_id: UUID | None = None,
        *,
        limits: Mapping[str, timedelta],
        is_single: bool = False,
        may_wait: bool = False,
        is_held: Callable[[LockedRow], bool] = lambda _: False,
    ) -> None:
        self._connection = connection
        self._admission = admission
        self._world_id = world_id
        #: Whether it may wait for locks in PostgreSQL; otherwise it soon gives up and runs again.
        self.may_wait = may_wait
        #: Whether other units of this process wait for a row already.
        self._is_held = is_held
        #: Time limits to set in this transaction because the session has none: name of the setting, limit.
        self._limits = limits
        #: One statement is all of it: it commits itself, and publishes itself.
        self.is_single = is_single
        #: What is stored, logged and notified at its end.
        self.end = EndOfTransaction()
        #: The last thing the driver reported; the runner asks it whether the unit may run again.
        self.failure: Failure | None = None
        self.lock_order = LockOrder()
        self.statements = 0

    @property
    def world_id(self) -> UUID:
        """Id of the world whose rows this transaction works on."""
        if self._world_id is None:
            raise AssertionError("a transaction without a world")
        return self._world_id

    async def write(self, work: Operation[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """Run `work` as a part of this transaction; its opener commits it and repeats it."""
        return await work(self, *args, **kw)

    read = write_idempotent = write_single = write_single_idempotent = write

    async def read_at_least(self, _: Wanted | None, work: Operation[P, T], /, *args: P.args, **kw: P.kwargs) -> T:
        """Read in this transaction, in which nothing is missing that was committed before."""
        return await work(self, *args, **kw)

    def refuse_misplaced(self) -> None:
        """Raise WrongEventLoop; the unit has begun already, and is joined."""
        self.refuse_other_loops()

    def refuse_other_loops(self) -> None:
        """Raise WrongEventLoop; see WorldUnit."""
        self._admission.refuse_other_loops()

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:  # noqa: ANN401
        """Run one statement; a driver's exception becomes the livingworld error that it means."""
        self.refuse_other_loops()
        return await self._named(statement, self._connection.execute(statement, parameters))

    async def execute_text(self, sql: str, parameters: tuple[Any, ...]) -> CursorResult[Any] | TextResult:
        """Run a statement that is text with $1, $2, ...: for what is called often; nothing is compiled."""
        self.refuse_other_loops()
        return await self._named(sql, self._connection.exec_driver_sql(sql, parameters))

    async def _named(self, statement: object, execution: Awaitable[Result]) -> Result:
        self.statements += 1
        asked, self._asked = self._asked, None
        self.sent_at = began = perf_counter()
        failure: Failure | None = None
        try:
            result = await (before_deadline(execution) if self.is_block else execution)
        except DRIVER_EXCEPTIONS as exception:
            failure = self._noted(detailed_failure(exception, statement, self._connection.engine, self))
        except BaseException:
            self._suspect = True  # cancelled half way: the server may still run it
            raise
        else:
            self._measure(statement, began)
            return result
        finally:
            self.sent_at = 0.0
            if asked is not None and self.lock_watch is not None:
                self.lock_watch.answered(self, asked, perf_counter() - began, failure)
        self._suspect = True
        self._measure(statement, began, failure)
        raise failure.error from failure.cause  # outside `except`: the driver's text is not chained as context

    def _measure(self, statement: object, began: float | None, failure: Failure | None = None) -> None:
        if isinstance(self._connection, SingleStatement):
            began = self._connection.sent_at
        if self.meter is None or began is None:  # without a connection nothing was sent
            return
        if failure is None:
            self.meter.answered(statement, began, self.call)
        else:
            self.meter.refused(statement, began, failure, self.call)

    async def scalar(self, statement: Executable, parameters: Any = None) -> Any:  # noqa: ANN401
        """Run one statement and return the first column of its first row, or None."""
        return (await self.execute(statement, parameters)).scalar()

    def locks(self, *row: object) -> None:
        """Note which row is locked next; raises LockTimeout when a unit that must not wait would have to wait."""
        self.row = self._asked = row
        if not self.may_wait and not self._has_own_limit and self._is_held(row):
            self.refuse(LockTimeout(), "the row is held", RetryKind.LOCK)

    def refuse(self, error: LivingWorldError, reason: str, retry: RetryKind) -> NoReturn:
        """Raise an error after which the runner tries the unit again; for a lock it waits, without a connection."""
        failure = self._noted(Failure(error, DriverError(reason), retry, answered=True))
        raise failure.error from failure.cause

    def _noted(self, failure: Failure) -> Failure:
        """Keep the failure for the runner, which does not wait for a lock that had a time limit of its own."""
        if failure.retry is RetryKind.LOCK and self._has_own_limit:
            failure = replace(failure, retry=None)
        elif failure.retry is RetryKind.LOCK and not self.may_wait:
            self._met = failure
        self.failure = failure
        return failure

    def refuse_if_it_met_a_lock(self) -> None:
        """Raise the LockTimeout of a unit that did not wait, also when the unit caught it: the runner may wait yet."""
        if self._met is not None:
            self.failure = self._met
            raise self._met.error from self._met.cause

    async def begin(self, *, snapshot: bool = False, met: LockedRow | None = None) -> None:
        """Set what the session lacks, read as of one moment for a `snapshot`, and announce one that may wait."""
        if snapshot:
            await self.execute(SNAPSHOT)
        await send_ahead(self._connection, self.scope)
        if self._limits:
            settings = {name: in_milliseconds(limit) for name, limit in self._limits.items()}
            announced = announcement(self._world_id, met) if self.may_wait else {}
            if await self.scalar(begin_statement(settings, announced), settings | announced) and self.may_wait:
                await self.execute(set_lock_timeout(self._limits["lock_timeout"]))

    @asynccontextmanager
    async def lock_timeout(self, timeout: timedelta | None) -> AsyncIterator[None]:
        """Bound the waits for locks inside the block; None leaves the limit that is in force."""
        if timeout is None:
            yield
            return
        former = await self.scalar(text("SELECT current_setting('lock_timeout')"))
        await self.execute(set_lock_timeout(timeout))
        self._has_own_limit = True
        try:
            yield  # after an error the transaction is over, and with it the setting
        finally:
            self._has_own_limit = False
        await self.execute(set_lock_timeout(former))

    def log_after_commit(self, event: Event, **fields: object) -> None:
        """Log an event after the commit; without a commit, not at all."""
        self.end.events.append((event, fields))

    def notify_after_commit(self, topic: str) -> None:
        """Notify the subscribers of a topic after the commit; without a commit, not at all."""
        self.end.topics.append(topic)

    def leave_work(self) -> None:
        """Leave work of this world to the background of this process, after the commit."""
        self.end.leaves_work = True

    def report_commit(self, notify: Notify, work_left: WorkLeft) -> None:
        """Log, notify and leave what was kept; called after the commit, or when a joined block ends."""
        self.end.report(notify)
        if self.end.leaves_work:
            work_left(self.world_id)

    def store_at_commit(self, store: StoreAll[Item], item: Item) -> None:
        """Have `store` called with this item and all others that it is given, as the last write of this transaction.

        Not for a single statement, which has no last write.
        """
        self.end.unstored.setdefault(store, []).append(item)

    async def store_all(self) -> None:
        """Store what waits for the end."""
        await self.end.store_all(self)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what the block wrote and locked, and only that, when it raises."""
        await self.execute(text("SAVEPOINT livingworld"))
        held, kept = self.lock_order.copy(), self.end.mark()
        try:
            yield
        except Exception:
            failure = self.failure
            self.end.forget_after(kept)
            with suppress(LivingWorldError):  # a rollback that fails must not hide why it was needed
                await self.execute(text("ROLLBACK TO SAVEPOINT livingworld"))
            self.failure = failure
            self.lock_order.restore(held)
            raise
        await self.execute(text("RELEASE SAVEPOINT livingworld"))

    async def refuse_if_poisoned(self) -> None:
        """Raise TransactionPoisoned when a statement failed and was not undone by a savepoint.

        PostgreSQL answers COMMIT of a failed transaction with a rollback that no driver reports as an error.
        """
        if not self._suspect:
            return
        poisoned: LivingWorldError | None = None
        try:
            await self.execute(text("SELECT 1"))
        except LivingWorldError:
            poisoned = TransactionPoisoned()
        if poisoned is not None:
            raise poisoned

    def refuse_if_lost(self) -> None:
        """Raise ConnectionError when the session has ended: COMMIT is then never sent, so its effect is known."""
        driver_connection = self._driver_connection()
        if driver_connection is None or driver_connection.is_closed():
            raise ConnectionResetError

    def pid(self) -> int | None:
        """Return the server's process of the session, or None when there is none; a pooler's own behind a pooler."""
        driver = self._driver_connection()
        return None if driver is None or driver.is_closed() else driver.get_server_pid()

    def _driver_connection(self) -> Any:  # noqa: ANN401 - asyncpg's connection
        connection = None if isinstance(self._connection, SingleStatement) else self._connection.sync_connection
        return None if connection is None or connection.closed else connection.connection.driver_connection
