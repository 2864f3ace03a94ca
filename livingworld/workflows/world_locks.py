"""Locks on names of the application's own, each with a transaction to work in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from livingworld.database.database import Database
from livingworld.inputs import check_label
from livingworld.locks.transaction_locks import check_timeout
from livingworld.transaction_scope import TransactionScope


class WorldLocks:
    """Locks on names of one world, each held by a transaction that begins with it: the block gets that transaction.

    It is committed when the block ends, rolled back on any error, never repeated, and then the lock is free. Further
    names are had by `tx.locks` of the same transaction, which says what is true of the locks.
    """

    def __init__(self, database: Database, world_id: UUID) -> None:
        self._database = database
        self._world_id = world_id

    @asynccontextmanager
    async def exclusive(self, name: str, *, timeout: timedelta | None = None) -> AsyncIterator[TransactionScope]:
        """Keep everybody else out while the block runs.

        Waits for `timeout` (default: the lock timeout), then raises LockTimeout. Raises what `World.transaction` does.
        """
        checked, limit = check_label("name", name), check_timeout(timeout)
        async with self._database.transaction() as transaction:
            scope = TransactionScope(transaction, self._world_id)
            await scope.locks.exclusive(checked, timeout=limit)
            yield scope

    @asynccontextmanager
    async def shared(self, name: str, *, timeout: timedelta | None = None) -> AsyncIterator[TransactionScope]:
        """Keep those out who ask for it exclusively; others may share it. Waits and raises as `exclusive`."""
        checked, limit = check_label("name", name), check_timeout(timeout)
        async with self._database.transaction() as transaction:
            scope = TransactionScope(transaction, self._world_id)
            await scope.locks.shared(checked, timeout=limit)
            yield scope

    @asynccontextmanager
    async def try_exclusive(self, name: str) -> AsyncIterator[TransactionScope | None]:
        """Keep everybody else out while the block runs, or give None at once when somebody has the lock.

        With None the block runs too, and neither a transaction nor a connection is held for it.
        """
        checked = check_label("name", name)
        async with self._database.transaction() as transaction:
            scope = TransactionScope(transaction, self._world_id)
            if await scope.locks.try_exclusive(checked):
                yield scope
                return
        yield None
