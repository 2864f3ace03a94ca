"""Row locks and advisory locks that end with the transaction, waited for in one declared order only.

A wait out of order could be one side of a deadlock. So a lock that is asked for out of order is only tried: it is taken
when it is free, because a statement that does not wait cannot deadlock, and refused when it is held. The locks of every
call: docs/decisions/2026-11-21-late-locks.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Row,
    Table,
    Text,
    TextClause,
    Uuid,
    any_,
    bindparam,
    func,
    literal,
    select,
    text,
)

from livingworld.errors import LockTimeout
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction

#: Within a kind, names come before rows, and locks on unknown rows come last.
_NAMES, _ROWS, _UNKNOWN = 0, 1, 2
#: Held by a transaction that locked rows of a kind without saying which.
UNKNOWN: Final = (_UNKNOWN,)
#: Asked for by a statement whose row has no place of its own among the locks of its kind: after nothing of the kind.
ANY: Final = (_NAMES,)
#: How long a statement may wait that must not wait: PostgreSQL itself locks some things for an instant.
_AT_ONCE: Final = timedelta(milliseconds=10)


#: What an advisory lock is asked for with: Citus runs a statement on the node that holds the world of its table, and an
#: advisory lock reaches one node only. The sub-select reads no row and always gives one.
ONE_ROW_OF_THE_WORLD: Final = """(
    SELECT count(*) FROM livingworld.request_keys AS k
    WHERE k.world_id = :world_id AND k.scope_id = :world_id AND k.request_key = ''
) AS place"""


@cache
def _advisory_lock(function: str) -> TextClause:
    statement = text(f"SELECT {function}(:key) FROM {ONE_ROW_OF_THE_WORLD}")  # noqa: S608 - our own words
    return statement.bindparams(bindparam("key", type_=BigInteger()), bindparam("world_id", type_=Uuid()))


async def advisory_lock(tx: Transaction, function: str, world_id: UUID, key: int) -> Any:  # noqa: ANN401 - of the function
    """Call an advisory lock function of PostgreSQL on the node that holds the world, and return its answer."""
    return await tx.scalar(_advisory_lock(function), {"key": key, "world_id": world_id})


def lock_key(kind: LockKind, world_id: UUID, name: str) -> int:
    """Return the signed 64-bit key of a name in a world: the same in every process, and infeasible to collide with."""
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
    the engine's lock timeout), then raises LockTimeout; raises LockOrderViolation instead of waiting out of order, and
    then the transaction may go on.
    """
    order_key = row_order_key(key)
    statement = select(table).where(*(table.c[name] == value for name, value in key.items()))
    if tx.lock_order.is_late(kind, order_key):
        row = (await tx.execute(statement.with_for_update(key_share=True, skip_locked=True))).one_or_none()
        if row is None and (await tx.execute(statement)).first() is not None:
            raise tx.lock_order.refusal(kind)
    else:
        async with tx.lock_timeout(timeout):
            tx.locks(kind, *key.values())
            row = (await tx.execute(statement.with_for_update(key_share=True))).one_or_none()
    if row is not None:
        tx.lock_order.hold(kind, order_key)
    return row


async def lock_free_rows(tx: Transaction, kind: LockKind, key: Column[Any], ids: Sequence[UUID]) -> list[UUID]:
    """Lock those rows of the world that nobody holds, until the transaction ends, and return their ids.

    `key` is the column of the ids. One statement, which waits for nobody, so it is never out of order.
    """
    own = (key.table.c.world_id == tx.world_id, key == any_(literal(list(ids), ARRAY(Uuid()))))
    rows = await tx.execute(select(key).where(*own).order_by(key).with_for_update(key_share=True, skip_locked=True))
    free = [UUID(int=row[0].int) for row in rows]
    for each in free:
        tx.lock_order.hold(kind, row_order_key({"world_id": tx.world_id, key.name: each}))
    return free


@asynccontextmanager
async def in_order(tx: Transaction, kind: LockKind, *order_keys: Any, upgrade: bool = False) -> AsyncIterator[None]:  # noqa: ANN401
    """Let a statement in the block take the locks of these keys: wait for them in order, only try them out of order.

    For locks that an insert or a function takes; the caller then records them in the lock order. Raises
    LockOrderViolation instead of waiting out of order; then the transaction can only be rolled back. `upgrade`: a
    shared lock is to become exclusive, where two waiters would wait for each other; then it is only tried, too.
    """
    late = upgrade or any(tx.lock_order.is_late(kind, key) for key in order_keys)
    refused = False
    try:
        async with tx.lock_timeout(_AT_ONCE if late else None):
            yield
    except LockTimeout:
        if not late:
            raise
        refused = True
    if refused:
        raise tx.lock_order.refusal(kind)


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
    keys = sorted({lock_key(kind, world_id, name) for name in names})
    async with tx.lock_timeout(timeout):
        for key in keys:
            await _lock_key(tx, kind, world_id, key)


async def _lock_key(tx: Transaction, kind: LockKind, world_id: UUID, key: int) -> None:
    order_key = (_NAMES, key)
    tx.locks(kind, key)
    if not tx.lock_order.is_late(kind, order_key):
        await advisory_lock(tx, "pg_advisory_xact_lock", world_id, key)
    elif not await advisory_lock(tx, "pg_try_advisory_xact_lock", world_id, key):
        raise tx.lock_order.refusal(kind)
    tx.lock_order.hold(kind, order_key)


async def lock_all_rows(tx: Transaction, key: Column[Any], *, wait: bool) -> None:
    """Lock every row of the world in a table against all writers, in the order of one column of its key.

    Names are ordered by code points, as everywhere. Waits for a row that is held, or else raises LockTimeout.
    """
    order = key.collate("C") if isinstance(key.type, Text) else key
    rows = select(key).where(key.table.c.world_id == tx.world_id).order_by(order)
    await tx.execute(select(func.count()).select_from(rows.with_for_update(nowait=not wait).subquery()))
