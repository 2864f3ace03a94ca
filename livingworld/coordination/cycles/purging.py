"""The cycles' part in the removal of a world."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select

from livingworld.coordination.cycles.tables import cycles
from livingworld.postgres.transactions.transaction import Transaction


async def lock_cycles(tx: Transaction, world_id: UUID, *, wait: bool) -> None:
    """Lock every cycle of a world against everybody; one that is held is waited for, or else raises LockTimeout.

    In the order of code points, as everybody locks names, whatever the database's collation is.
    """
    rows = select(cycles.c.name).where(cycles.c.world_id == world_id).order_by(cycles.c.name.collate("C"))
    await tx.execute(select(func.count()).select_from(rows.with_for_update(nowait=not wait).subquery()))
