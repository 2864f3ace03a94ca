"""The characters' part in the removal of a world."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete

from livingworld.characters.tables import character_names, characters
from livingworld.database.transaction import Transaction


async def purge_characters(tx: Transaction, world_id: UUID) -> None:
    """Remove every character of a world; the world's row must be locked against new ones."""
    for table in (character_names, characters):
        await tx.execute(delete(table).where(table.c.world_id == world_id))
