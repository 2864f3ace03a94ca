"""The scripts' part in the removal of a world."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, func, select

from livingworld.models.scripts.tables import scripts
from livingworld.postgres.transactions.transaction import Transaction


async def lock_scripts(tx: Transaction, world_id: UUID, *, wait: bool) -> None:
    """Lock every script of a world against everybody; one that is held is waited for, or else raises LockTimeout."""
    rows = select(scripts.c.name).where(scripts.c.world_id == world_id).order_by(scripts.c.name)
    await tx.execute(select(func.count()).select_from(rows.with_for_update(nowait=not wait).subquery()))


async def purge_scripts(tx: Transaction, world_id: UUID) -> None:
    """Remove every script of a world; all of them must be locked, and the world's row against new ones."""
    await tx.execute(delete(scripts).where(scripts.c.world_id == world_id))
