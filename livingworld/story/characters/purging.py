"""The characters' part in the removal of a world."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, func, select

from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.tables import character_names, characters


async def lock_characters(tx: Transaction, world_id: UUID, *, wait: bool) -> None:
    """Lock every character of a world against everybody; one that is held is waited for, or else raises LockTimeout."""
    rows = (
        select(characters.c.character_id).where(characters.c.world_id == world_id).order_by(characters.c.character_id)
    )
    await tx.execute(select(func.count()).select_from(rows.with_for_update(nowait=not wait).subquery()))


async def purge_characters(tx: Transaction, world_id: UUID) -> None:
    """Remove every character of a world; all of them must be locked, and the world's row against new ones."""
    for table in (character_names, characters):
        await tx.execute(delete(table).where(table.c.world_id == world_id))
