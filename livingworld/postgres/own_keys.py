"""Rows that an application finds by a key of its own: looked for without a lock, made under one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

from sqlalchemy import Row, Table
from sqlalchemy.dialects.postgresql import insert

from livingworld.deadlines import one_call
from livingworld.errors import SerializationFailure
from livingworld.postgres.locks import lock_names
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Operation, Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit

T = TypeVar("T")

#: A key can be taken and given up between two looks, but not as often as this.
_LOOKS: Final = 5
#: One caller of a unit goes to the database for a new key and the others wait here: of hundreds that wait for one lock
#: there, the last ones come too late.
_making: Final[WeakValueDictionary[tuple[object, ...], asyncio.Lock]] = WeakValueDictionary()


async def get_or_create(
    unit: WorldUnit, find: Operation[[str], T | None], make: Operation[[str], tuple[T, bool] | None], key: str
) -> tuple[T, bool]:
    """Return the row of a key and whether this call made it; one round trip without a lock where it exists.

    `make` is idempotent, inserts by `insert_with_key` and returns None when the key was taken and given up again.
    """
    with one_call(unit.call_timeout):
        if (found := await unit.read(find, key)) is not None:
            return found, False
        if unit.call_timeout is None:  # a transaction may hold what the first of them waits for
            return await _make(unit, find, make, key)
        only_one = _making.setdefault((unit, find, key), asyncio.Lock())
        is_late = only_one.locked()
        async with only_one:
            if is_late and (found := await unit.read(find, key)) is not None:
                return found, False
            return await _make(unit, find, make, key)


async def _make(
    unit: WorldUnit, find: Operation[[str], T | None], make: Operation[[str], tuple[T, bool] | None], key: str
) -> tuple[T, bool]:
    for _ in range(_LOOKS):
        if (made := await unit.write_idempotent(make, key)) is not None:
            return made
        if (found := await unit.read(find, key)) is not None:
            return found, False
    raise SerializationFailure


async def insert_with_key(tx: Transaction, kind: LockKind, table: Table, values: Mapping[str, Any]) -> Row[Any] | None:
    """Insert a row with a key, or return None when the key or the id is there; locks the key until the end.

    The lock saves work and orders waits; the unique index decides.
    """
    await lock_names(tx, kind, tx.world_id, [own_key_name(values["key"])])
    new = insert(table).values(world_id=tx.world_id, **values).on_conflict_do_nothing().returning(table)
    return (await tx.execute(new)).one_or_none()


def own_key_name(key: str) -> str:
    """Return the name that is locked for a key, which no name of a character is."""
    return f"key \x00{key}"
