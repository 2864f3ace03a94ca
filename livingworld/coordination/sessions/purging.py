"""The sessions' part in the removal of a world."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, func, select

from livingworld.coordination.sessions.tables import sessions
from livingworld.postgres.transactions.transaction import Transaction


async def lock_sessions(tx: Transaction, world_id: UUID, *, wait: bool) -> None:
    """Lock every session of a world against everybody; one that is held is waited for, or else raises LockTimeout."""
    rows = select(sessions.c.session_id).where(sessions.c.world_id == world_id).order_by(sessions.c.session_id)
    await tx.execute(select(func.count()).select_from(rows.with_for_update(nowait=not wait).subquery()))


async def purge_sessions(tx: Transaction, world_id: UUID) -> None:
    """Remove every session of a world; all of them must be locked, and the world's row against new ones."""
    await tx.execute(delete(sessions).where(sessions.c.world_id == world_id))
