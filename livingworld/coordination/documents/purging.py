"""The documents' part in the removal of a world."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, func, select

from livingworld.coordination.documents.tables import document_versions, documents
from livingworld.postgres.transactions.transaction import Transaction


async def lock_documents(tx: Transaction, world_id: UUID, *, wait: bool) -> None:
    """Lock every document of a world against everybody; one that is held is waited for, or else raises LockTimeout."""
    rows = select(documents.c.key).where(documents.c.world_id == world_id).order_by(documents.c.key)
    await tx.execute(select(func.count()).select_from(rows.with_for_update(nowait=not wait).subquery()))


async def purge_documents(tx: Transaction, world_id: UUID) -> None:
    """Remove every document of a world; all of them must be locked, and the world's row against new ones."""
    for table in (document_versions, documents):
        await tx.execute(delete(table).where(table.c.world_id == world_id))
