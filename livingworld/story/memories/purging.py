"""The memories' part in the removal of a world."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.memories.tables import memory_embedders


async def lock_memory_embedder(tx: Transaction, world_id: UUID, *, wait: bool) -> None:
    """Lock what says whose vectors are compared; when somebody has it, that is waited for, or else raises LockTimeout.

    The memories themselves are locked with their stories.
    """
    row = select(memory_embedders.c.world_id).where(memory_embedders.c.world_id == world_id)
    await tx.execute(row.with_for_update(nowait=not wait))
