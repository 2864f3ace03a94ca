"""Locks on names of the application's own, each with a transaction to work in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Generic, TypeVar

from livingworld.coordination.locks.transaction_locks import TransactionLocks, check_timeout
from livingworld.inputs import check_label
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_database import WorldDatabase

#: The transaction as the application works in it.
Scope = TypeVar("Scope")


class WorldLocks(Generic[Scope]):
    """Locks on names of one world, each held by a transaction that begins with it: the block gets that transaction.

    It is committed when the block ends, rolled back on any error, never repeated, and then the lock is free. `tx.locks`
    of the same transaction takes further names, and documents the locks.
    """

    def __init__(self, database: WorldDatabase, scope: Callable[[Transaction], Scope]) -> None:
        self._database = database
        self._scope = scope

    @asynccontextmanager
    async def exclusive(self, name: str, *, timeout: timedelta | None = None) -> AsyncIterator[Scope]:
        """Hold the lock alone while the block runs.

        Waits for `timeout` (default: the lock timeout), then raises LockTimeout. Raises what `World.transaction` does.
        """
        checked, limit = check_label("name", name), check_timeout(timeout)
        async with self._database.transaction() as transaction:
            await TransactionLocks(transaction).exclusive(checked, timeout=limit)
            yield self._scope(transaction)

    @asynccontextmanager
    async def shared(self, name: str, *, timeout: timedelta | None = None) -> AsyncIterator[Scope]:
        """Share the lock while the block runs: `exclusive` waits for it. Waits and raises as `exclusive`."""
        checked, limit = check_label("name", name), check_timeout(timeout)
        async with self._database.transaction() as transaction:
            await TransactionLocks(transaction).shared(checked, timeout=limit)
            yield self._scope(transaction)

    @asynccontextmanager
    async def try_exclusive(self, name: str) -> AsyncIterator[Scope | None]:
        """Hold the lock alone while the block runs, or give None at once when the lock is not free.

        With None the block runs too, and neither a transaction nor a connection is held for it.
        """
        checked = check_label("name", name)
        async with self._database.transaction() as transaction:
            if await TransactionLocks(transaction).try_exclusive(checked):
                yield self._scope(transaction)
                return
        yield None
