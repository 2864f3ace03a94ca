"""Removing rows that are older than they need to be, some at a time, without a wait for anybody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias

from sqlalchemy import Column, Select, Table, delete, func, literal_column, select

from livingworld.postgres.transactions.transaction import Transaction

#: Removes at most so many of what is so old, and returns how many it removed.
RemoveOld: TypeAlias = Callable[[Transaction, timedelta, int], Awaitable[int]]


async def remove_old(tx: Transaction, table: Table, time: Column[Any], age: timedelta, limit: int) -> int:
    """Remove the rows of a world whose `time` is longer ago than `age`, the oldest first, and return how many.

    One statement; at most `limit` rows. A row that another transaction has locked is left for the next time, so that
    this neither waits for a writer nor for another process that removes. An index leads from the world to the time.
    """
    old = table.alias("old")
    is_old = (old.c.world_id == tx.world_id, old.c[time.name] < func.now() - age)
    found: Select[Any] = select(literal_column("old.ctid")).where(*is_old).order_by(old.c[time.name]).limit(limit)
    # The place of a locked row does not change; a join by the key would be planned for any number of them.
    places = func.any(func.array(found.with_for_update(skip_locked=True).scalar_subquery()))
    removed = delete(table).where(table.c.world_id == tx.world_id, literal_column("ctid") == places)
    return (await tx.execute(removed)).rowcount
