"""The world's own part in its removal; app/purge_world.py has the order."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, select

from livingworld.errors import WorldNotFound
from livingworld.postgres.idempotency import request_keys
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.revisions import revisions
from livingworld.story.worlds.tables import worlds


async def lock_for_purge(tx: Transaction, world_id: UUID) -> None:
    """Keep others from changing or removing the world; raises WorldNotFound."""
    statement = select(worlds.c.world_id).where(worlds.c.world_id == world_id).with_for_update(key_share=True)
    if await tx.scalar(statement) is None:
        raise WorldNotFound(world_id=world_id)


async def close_world(tx: Transaction, world_id: UUID) -> None:
    """Keep everybody from putting anything new into the world; LockTimeout when a transaction has just done so.

    Plain FOR UPDATE, because here inserts of children are what must wait.
    """
    await tx.execute(select(worlds.c.world_id).where(worlds.c.world_id == world_id).with_for_update(nowait=True))


async def remove_world(tx: Transaction, world_id: UUID) -> None:
    """Remove what is kept for the world as a whole, and its row."""
    for table in (revisions, request_keys, worlds):
        await tx.execute(delete(table).where(table.c.world_id == world_id))
