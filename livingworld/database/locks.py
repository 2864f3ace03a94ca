"""Row locks and advisory locks that end with the transaction, taken in one declared order or refused.

A wait out of order could be one side of a deadlock. Kinds are refused out of order always, so that the mistake shows at
the first run. Within a kind the order is a matter of data: there a lock that is free is taken at once, since what does
not wait cannot deadlock, and only the wait is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import IntEnum
from hashlib import blake2b
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Table, func, select

from livingworld.database.transaction import Transaction
from livingworld.errors import LockOrderViolation, LockTimeout

#: Within a kind, names come before rows.
_NAMES, _ROWS = 0, 1


class LockKind(IntEnum):
    """What is locked, in the order in which one transaction may wait for it."""

    APPLICATION = -1
    LEASE = 0
    WORLD = 1
    STORY = 2
    BRANCH = 3
    SESSION = 4
    CHARACTER = 6
    RELATIONSHIP = 7
    FACT = 8
    DOCUMENT = 9
    MEMORY = 10
    SCRIPT = 11
    MODEL = 12
    CYCLE = 13
    LORE = 14
    LANE = 15


def lock_key(kind: LockKind, world_id: UUID, name: str) -> int:
    """Return the signed 64-bit key of a name in a world: the same in every process, too wide to aim at."""
    digest = blake2b(name.encode(), digest_size=8, key=world_id.bytes, person=kind.name.lower().encode())
    return int.from_bytes(digest.digest(), signed=True)


def row_order_key(key: Mapping[str, object]) -> tuple[int | str, ...]:
    """Return where the lock of a row stands among the locks of its kind."""
    return (_ROWS, *(str(value) for value in key.values()))


async def lock_row(
    tx: Transaction,
    kind: LockKind,
    table: Table,
    key: Mapping[str, object],
    *,
    timeout: timedelta | None = None,
) -> Row[Any] | None:
    """Lock one row until the transaction ends and return it as it is now, or None when there is none.

    FOR NO KEY UPDATE, because plain FOR UPDATE would deadlock with inserts of children. Waits for `timeout` (default:
    the engine's lock timeout), then raises LockTimeout; raises LockOrderViolation instead of waiting out of order.
    """
    order_key = row_order_key(key)
    tx.lock_order.enter(kind)
    late = tx.lock_order.is_late(kind, order_key)
    statement = (
        select(table)
        .where(*(table.c[name] == value for name, value in key.items()))
        .with_for_update(key_share=True, nowait=late)
    )
    try:
        async with tx.lock_timeout(timeout):
            tx.locks(kind, *key.values())
            row = (await tx.execute(statement)).one_or_none()
    except LockTimeout:
        if not late:
            raise
        row, refused = None, True
    else:
        refused = False
    if refused:
        raise LockOrderViolation(kind=kind.name)
    tx.lock_order.hold(kind, order_key)
    return row


async def lock_names(
    tx: Transaction,
    kind: LockKind,
    world_id: UUID,
    names: Iterable[str],
    *,
    timeout: timedelta | None = None,
) -> None:
    """Lock canonical names that may have no row yet, until the transaction ends.

    All keys in sorted order, each one once. Waits and raises as `lock_row` does.
    """
    tx.lock_order.enter(kind)
    keys = sorted({lock_key(kind, world_id, name) for name in names})
    async with tx.lock_timeout(timeout):
        for key in keys:
            await _lock_key(tx, kind, key)


async def _lock_key(tx: Transaction, kind: LockKind, key: int) -> None:
    order_key = (_NAMES, key)
    tx.locks(kind, key)
    if not tx.lock_order.is_late(kind, order_key):
        await tx.execute(select(func.pg_advisory_xact_lock(key)))
    elif not await tx.scalar(select(func.pg_try_advisory_xact_lock(key))):
        raise LockOrderViolation(kind=kind.name)
    tx.lock_order.hold(kind, order_key)
