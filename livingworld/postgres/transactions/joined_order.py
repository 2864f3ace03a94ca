"""What a transaction of the caller's own holds, through all blocks that join it."""

from __future__ import annotations

from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import RootTransaction
from sqlalchemy.ext.asyncio import AsyncConnection

from livingworld.postgres.transactions.lock_order import LockOrder

_ORDERS: Final[WeakKeyDictionary[RootTransaction, LockOrder]] = WeakKeyDictionary()


def lock_order_of(connection: AsyncConnection) -> LockOrder:
    """Return the one order of locks of the transaction that is open on a connection."""
    open_on = connection.sync_connection
    transaction = None if open_on is None else open_on.get_transaction()
    return LockOrder() if transaction is None else _ORDERS.setdefault(transaction, LockOrder())
