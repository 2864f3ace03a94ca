"""The AI models' part in the removal of a world."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, func, select

from livingworld.models.ai_models.tables import ai_model_roles, ai_models, training_samples
from livingworld.postgres.transactions.transaction import Transaction


async def lock_models(tx: Transaction, world_id: UUID, *, wait: bool) -> None:
    """Lock every role and model of a world against everybody; one that is held is waited for, or else LockTimeout.

    The models too: a sample holds its model, and then comes to need the world's row.
    """
    for key in (ai_model_roles.c.role, ai_models.c.model_id):
        rows = select(key).where(key.table.c.world_id == world_id).order_by(key)
        await tx.execute(select(func.count()).select_from(rows.with_for_update(nowait=not wait).subquery()))


async def purge_models(tx: Transaction, world_id: UUID) -> None:
    """Remove every model and sample of a world; all must be locked, and the world's row against new ones."""
    for table in (training_samples, ai_models, ai_model_roles):
        await tx.execute(delete(table).where(table.c.world_id == world_id))
