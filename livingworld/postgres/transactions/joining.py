"""A transaction that its caller opened, and will commit or roll back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import RootTransaction, text

from livingworld.errors import InvalidType, LivingWorldError, UnsafeIsolation
from livingworld.postgres.connections.scope import GET_SCOPE, SET_SCOPE, Scope
from livingworld.postgres.driver_errors.failures import DRIVER_EXCEPTIONS, name_failure
from livingworld.postgres.transactions.admission import Admission
from livingworld.postgres.transactions.lock_order import LockOrder
from livingworld.postgres.transactions.lock_watch import LockWatch
from livingworld.postgres.transactions.transaction import Transaction

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

#: What each transaction of a caller holds, through all blocks that join it.
_ORDERS: Final[WeakKeyDictionary[RootTransaction, LockOrder]] = WeakKeyDictionary()


@asynccontextmanager
async def joined(
    given: AsyncConnection | AsyncSession,
    admission: Admission,
    world_id: UUID | None,
    watch: LockWatch,
    scope: Scope | None,
) -> AsyncIterator[Transaction]:
    """Work inside the transaction of a connection or a session, in a scope if it is given; see World.join."""
    admission.refuse_other_loops()
    connection = await _connection(given)
    transaction = Transaction(connection, admission, world_id, limits={}, may_wait=True)
    transaction.lock_watch = watch
    await _refuse_unsafe_isolation(transaction)
    transaction.lock_order = _lock_order(connection)
    transaction.is_block = True
    async with nullcontext() if scope is None else _scoped(transaction, scope):
        with admission.in_transaction(), watch.watching(transaction):
            yield transaction
        await transaction.refuse_if_poisoned()
        await transaction.store_all()


@asynccontextmanager
async def _scoped(transaction: Transaction, scope: Scope) -> AsyncIterator[None]:
    """Set the scope, and afterwards the former one: blocks of several worlds may stand inside each other."""
    former = (await transaction.execute(GET_SCOPE)).one()
    await transaction.execute(SET_SCOPE, scope._asdict())
    try:
        yield
    finally:
        with suppress(LivingWorldError):  # after an error the transaction is over, and with it the settings
            await transaction.execute(SET_SCOPE, former._asdict())


async def _refuse_unsafe_isolation(tx: Transaction) -> None:
    """Raise UnsafeIsolation unless a statement after a lock sees what the lock waited for."""
    level = await tx.scalar(text("SELECT current_setting('transaction_isolation')"))
    if level != "read committed":
        raise UnsafeIsolation(level=level)


async def _connection(given: AsyncConnection | AsyncSession) -> AsyncConnection:
    """Return the connection; a session may have to open one first."""
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession  # noqa: PLC0415 - with SQLAlchemy's ORM

    if isinstance(given, AsyncConnection):
        return given
    if not isinstance(given, AsyncSession):
        kind = type(given).__name__  # type: ignore[unreachable]
        raise InvalidType("connection", f"must be an AsyncConnection or AsyncSession, not {kind}")
    try:
        return await given.connection()
    except DRIVER_EXCEPTIONS as exception:
        failure = name_failure(exception)
    raise failure.error from failure.cause


def _lock_order(connection: AsyncConnection) -> LockOrder:
    """Return the one lock order of the transaction that is open on a connection."""
    open_on = connection.sync_connection
    transaction = None if open_on is None else open_on.get_transaction()
    return LockOrder() if transaction is None else _ORDERS.setdefault(transaction, LockOrder())
