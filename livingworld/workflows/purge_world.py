"""Remove a world and everything in it."""

from __future__ import annotations

from uuid import UUID

from livingworld.characters.purging import purge_characters
from livingworld.database.transaction import Transaction
from livingworld.stories.writing import purge_stories
from livingworld.worlds.purging import lock_for_purge, remove_world


async def purge_world(tx: Transaction, world_id: UUID) -> None:
    """Remove a world for ever, in one transaction; raises WorldNotFound.

    The lock on the world keeps new stories and characters out; then the parts go, children first.
    """
    await lock_for_purge(tx, world_id)
    await purge_stories(tx, world_id)
    await purge_characters(tx, world_id)
    await remove_world(tx, world_id)
