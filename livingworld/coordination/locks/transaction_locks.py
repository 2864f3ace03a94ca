"""Locks on names of the application's own, held until the transaction ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from livingworld.inputs import check_duration, check_label
from livingworld.postgres.locks import advisory_lock, lock_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction

_SHARED: Final = 0
_EXCLUSIVE: Final = 1
#: Longest wait that a caller may name.
MAX_TIMEOUT: Final = timedelta(days=1)


class TransactionLocks:
    """Locks on names, of one transaction; other transactions of the world wait for them, whatever process they are in.

    They come before every row in the order of locks, and among themselves in the order of their keys: a lock that is
    asked for out of order is taken when it is free, and is LockOrderViolation where it would have to be waited for. A
    second call for a lock that is held changes nothing. On Citus they are held on the node that holds the world.
    """

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def exclusive(self, name: str, *, timeout: timedelta | None = None) -> None:
        """Take the lock alone until the transaction ends.

        Waits for `timeout` (default: the lock timeout), then raises LockTimeout. Raises LockOrderViolation when another
        transaction shares the lock that this one shares: two that wait so would wait for each other.
        """
        await self._lock(name, _EXCLUSIVE, timeout)

    async def shared(self, name: str, *, timeout: timedelta | None = None) -> None:
        """Share the lock until the transaction ends: `exclusive` waits for it. Waits and raises as `exclusive`."""
        await self._lock(name, _SHARED, timeout)

    async def try_exclusive(self, name: str) -> bool:
        """Take the lock if it is free, and return whether this transaction has it now; never waits."""
        key = self._key(name)
        return self._has(key, _EXCLUSIVE) or await self._try(key, _EXCLUSIVE)

    async def _lock(self, name: str, mode: int, timeout: timedelta | None) -> None:
        key, limit = self._key(name), check_timeout(timeout)
        order = self._tx.lock_order
        if self._has(key, mode):
            return
        upgrade = mode == _EXCLUSIVE and self._has(key, _SHARED)
        if upgrade or order.is_late(LockKind.APPLICATION, (key, mode)):
            if not await self._try(key, mode):
                raise order.refusal(LockKind.APPLICATION)
            return
        wait = "pg_advisory_xact_lock" if mode == _EXCLUSIVE else "pg_advisory_xact_lock_shared"
        async with self._tx.lock_timeout(limit):
            await advisory_lock(self._tx, wait, self._tx.world_id, key)
        order.hold(LockKind.APPLICATION, (key, mode))

    async def _try(self, key: int, mode: int) -> bool:
        attempt = "pg_try_advisory_xact_lock" if mode == _EXCLUSIVE else "pg_try_advisory_xact_lock_shared"
        taken: bool = await advisory_lock(self._tx, attempt, self._tx.world_id, key)
        if taken:
            self._tx.lock_order.hold(LockKind.APPLICATION, (key, mode))
        return taken

    def _has(self, key: int, mode: int) -> bool:
        """Return whether this transaction has the lock, or a stronger one."""
        held = self._tx.lock_order.held(LockKind.APPLICATION)
        return any((key, each) in held for each in range(mode, _EXCLUSIVE + 1))

    def _key(self, name: str) -> int:
        return lock_key(LockKind.APPLICATION, self._tx.world_id, check_label("name", name))


def check_timeout(timeout: object) -> timedelta | None:
    """Return the timeout if it is None or a time that can be waited for."""
    return None if timeout is None else check_duration("timeout", timeout, maximum=MAX_TIMEOUT)
