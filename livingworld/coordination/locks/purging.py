"""The leases' part in the removal of a world."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select

from livingworld.coordination.locks.tables import leases
from livingworld.postgres.transactions.transaction import Transaction


async def lock_leases(tx: Transaction, world_id: UUID, *, wait: bool) -> None:
    """Lock every lease of a world against everybody; one that is held is waited for, or else raises LockTimeout.

    In the order of code points, as everybody locks names, whatever the database's collation is.
    """
    rows = select(leases.c.name).where(leases.c.world_id == world_id).order_by(leases.c.name.collate("C"))
    await tx.execute(select(func.count()).select_from(rows.with_for_update(nowait=not wait).subquery()))
