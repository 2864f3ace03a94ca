"""The lore's part in the removal of a world."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select

from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.lore.tables import lore_entries


async def lock_lore(tx: Transaction, world_id: UUID, *, wait: bool) -> None:
    """Lock every entry of a world against everybody; one that is held is waited for, or else raises LockTimeout."""
    rows = select(lore_entries.c.lore_id).where(lore_entries.c.world_id == world_id).order_by(lore_entries.c.lore_id)
    await tx.execute(select(func.count()).select_from(rows.with_for_update(nowait=not wait).subquery()))
