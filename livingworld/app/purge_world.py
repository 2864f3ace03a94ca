"""Remove a world and everything in it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from livingworld.coordination.actions.purging import lock_lanes
from livingworld.coordination.cycles.purging import lock_cycles
from livingworld.coordination.documents.purging import lock_documents, purge_documents
from livingworld.coordination.locks.purging import lock_leases
from livingworld.coordination.sessions.purging import lock_sessions, purge_sessions
from livingworld.live.log import lock_streams
from livingworld.models.ai_models.purging import lock_models, purge_models
from livingworld.models.scripts.purging import lock_scripts, purge_scripts
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.purging import lock_characters, purge_characters
from livingworld.story.lore.purging import lock_lore
from livingworld.story.memories.purging import lock_memory_embedder
from livingworld.story.stories.writing import lock_stories, purge_stories
from livingworld.story.worlds.purging import close_world, lock_for_purge, remove_world

#: What somebody may have before the world's row, in the order of LockKind; leases come before the world.
_PARTS: Final = (
    lock_stories,
    lock_sessions,
    lock_characters,
    lock_documents,
    lock_memory_embedder,
    lock_scripts,
    lock_models,
    lock_cycles,
    lock_lore,
    lock_lanes,
)


async def purge_world(tx: Transaction, world_id: UUID) -> None:
    """Remove a world for ever, in one transaction; raises WorldNotFound.

    Whoever writes into the world has a part of it first, a story or a lease, and then touches the world's row, by
    foreign key. So the parts are locked while that row is still free to touch, and what is left to lock after it is
    not waited for: when somebody has it, LockTimeout, and the unit runs again from the start.
    """
    await lock_leases(tx, world_id, wait=True)
    await lock_for_purge(tx, world_id)
    for lock in _PARTS:
        await lock(tx, world_id, wait=True)
    await tx.execute(lock_streams(world_id))  # publishing comes last of all in a transaction
    await close_world(tx, world_id)
    for lock in (lock_leases, *_PARTS):
        await lock(tx, world_id, wait=False)
    await purge_stories(tx, world_id)
    await purge_sessions(tx, world_id)
    await purge_characters(tx, world_id)
    await purge_documents(tx, world_id)
    await purge_scripts(tx, world_id)
    await purge_models(tx, world_id)
    await remove_world(tx, world_id)
