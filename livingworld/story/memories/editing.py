"""Changing a memory that is stored: its fields, and its text, whose vectors are of the text before."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, update

from livingworld.errors import InvalidInput, MemoryNotFound, VersionConflict
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.memories.memory_embedder import share_embedder
from livingworld.story.memories.memory_meter import counted
from livingworld.story.memories.records import Memory
from livingworld.story.memories.rows import make_memory
from livingworld.story.memories.tables import memories
from livingworld.story.memories.writing import CHANGED, read
from livingworld.story.stories.locking import lock_open_story

_IS_REMEMBERED: Final = """
    SELECT EXISTS (
        SELECT FROM livingworld.memories AS m
        JOIN livingworld.memories AS o
            ON o.world_id = $1 AND o.digest = $3 AND o.story_id = m.story_id AND o.timeline_number = m.timeline_number
            AND o.position = m.position AND o.character_id IS NOT DISTINCT FROM m.character_id
            AND o.archived_in IS NOT DISTINCT FROM m.archived_in AND o.memory_id <> m.memory_id
        WHERE m.world_id = $1 AND m.memory_id = $2
    )
"""
# Who has claimed the job has read the text before: with another number of attempts he does not finish it.
_EMBED_AGAIN: Final = """
    WITH removed AS (DELETE FROM livingworld.memory_vectors AS v WHERE v.world_id = $1 AND v.memory_id = $2)
    INSERT INTO livingworld.memory_embedding_jobs AS j (world_id, embedder, memory_id)
    SELECT $1, e.name, $2
    FROM livingworld.memory_embedders AS w
    CROSS JOIN LATERAL unnest(ARRAY[w.embedder, w.next_embedder]) AS e (name)
    WHERE w.world_id = $1 AND e.name IS NOT NULL
    ON CONFLICT ON CONSTRAINT pk_memory_embedding_jobs
    DO UPDATE SET attempts = j.attempts + 1, claimed_until = NULL, error = NULL
"""


@counted("update_memory")
async def update_memory(tx: Transaction, memory_id: UUID, expected: int, changes: Mapping[str, Any]) -> Memory:
    """Change fields of a memory; locks its story. Raises MemoryNotFound, VersionConflict, Archived, InvalidInput."""
    found = (await read(tx, [memory_id])).get(memory_id)
    if found is None:
        raise MemoryNotFound(memory_id=memory_id)
    await lock_open_story(tx, found.story_id)
    old = (await read(tx, [memory_id])).get(memory_id)
    if old is None:
        raise MemoryNotFound(memory_id=memory_id)
    if old.version != expected:
        raise VersionConflict(expected=expected, actual=old.version)
    if changes.get("private") and old.character is None:
        raise InvalidInput("private", "needs a character that the memory belongs to")
    if changes.get("content") not in {None, old.content}:
        changes = {**changes, "digest": await _make_room(tx, memory_id, changes["content"])}
    own = (memories.c.world_id == tx.world_id, memories.c.memory_id == memory_id)
    row = (await tx.execute(update(memories).where(*own).values(**changes, **CHANGED).returning(memories))).one()
    return make_memory(row)


async def _make_room(tx: Transaction, memory_id: UUID, content: str) -> bytes:
    """Let a memory be embedded again and return the digest of its new text; the caller has locked its story."""
    digest = sha256(content.encode()).digest()
    if (await tx.execute_text(_IS_REMEMBERED, (tx.world_id, memory_id, digest))).scalar_one():
        raise InvalidInput("content", "is what the same one remembers at this place already")
    await share_embedder(tx)
    # An embedder that has read the text before stores nothing while this lock is held, and nothing afterwards.
    own = (memories.c.world_id == tx.world_id, memories.c.memory_id == memory_id)
    await tx.execute(select(memories.c.memory_id).where(*own).with_for_update())
    await tx.execute_text(_EMBED_AGAIN, (tx.world_id, memory_id))
    return digest
