"""The lanes' part in the removal of a world."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select

from livingworld.coordination.actions.tables import lanes
from livingworld.postgres.transactions.transaction import Transaction


async def lock_lanes(tx: Transaction, world_id: UUID, *, wait: bool) -> None:
    """Lock every lane of a world against everybody; one that is held is waited for, or else raises LockTimeout."""
    rows = select(lanes.c.lane).where(lanes.c.world_id == world_id).order_by(lanes.c.lane.collate("C"))
    await tx.execute(select(func.count()).select_from(rows.with_for_update(nowait=not wait).subquery()))
