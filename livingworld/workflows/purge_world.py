"""Remove a world and everything in it."""

from __future__ import annotations

from uuid import UUID

from livingworld.characters.purging import lock_characters, purge_characters
from livingworld.database.transaction import Transaction
from livingworld.documents.purging import lock_documents, purge_documents
from livingworld.scripts.purging import lock_scripts, purge_scripts
from livingworld.sessions.purging import lock_sessions, purge_sessions
from livingworld.stories.writing import lock_stories, purge_stories
from livingworld.worlds.purging import close_world, lock_for_purge, remove_world


async def purge_world(tx: Transaction, world_id: UUID) -> None:
    """Remove a world for ever, in one transaction; raises WorldNotFound.

    Whoever writes into the world has a story, a session, a character, a document or a script first and then touches
    the world's row, by foreign key. So the parts are locked while that row is still free to touch, and what is left to
    lock after it is not waited for: when somebody has it, LockTimeout, and the unit runs again from the start.
    """
    await lock_for_purge(tx, world_id)
    await lock_stories(tx, world_id, wait=True)
    await lock_sessions(tx, world_id, wait=True)
    await lock_characters(tx, world_id, wait=True)
    await lock_documents(tx, world_id, wait=True)
    await lock_scripts(tx, world_id, wait=True)
    await close_world(tx, world_id)
    await lock_stories(tx, world_id, wait=False)
    await lock_sessions(tx, world_id, wait=False)
    await lock_characters(tx, world_id, wait=False)
    await lock_documents(tx, world_id, wait=False)
    await lock_scripts(tx, world_id, wait=False)
    await purge_stories(tx, world_id)
    await purge_sessions(tx, world_id)
    await purge_characters(tx, world_id)
    await purge_documents(tx, world_id)
    await purge_scripts(tx, world_id)
    await remove_world(tx, world_id)
