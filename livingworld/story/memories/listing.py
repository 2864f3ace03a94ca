"""The list of a story's memories, whatever the branch they stand on."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.references import refuse_unknown
from livingworld.story.memories.records import Memory
from livingworld.story.memories.rows import make_memory

#: Before the newest memory.
NEWEST: Final = UUID(int=2**128 - 1)
# The world, the story, the id before which a page begins, kinds (NULL: all), forgotten ones too, length, the character.
_OF_STORY: Final = """
    SELECT m.* FROM livingworld.memories AS m
    WHERE m.world_id = $1::uuid AND m.story_id = $2::uuid AND m.memory_id < $3::uuid AND m.position >= 0
        AND m.archived_in IS NULL AND ($4::text[] IS NULL OR m.kind = ANY ($4))
        AND ($5::boolean OR m.forgotten_at IS NULL)
    ORDER BY m.memory_id DESC LIMIT $6::integer
"""
_OF_CHARACTER: Final = """
    SELECT m.* FROM livingworld.memories AS m
    WHERE m.world_id = $1::uuid
        AND m.character_id = (SELECT who.character_id FROM livingworld.referred_character_v1($1, $7::text) AS who)
        AND m.story_id = $2::uuid AND m.memory_id < $3::uuid
        AND m.archived_in IS NULL AND ($4::text[] IS NULL OR m.kind = ANY ($4))
        AND ($5::boolean OR m.forgotten_at IS NULL)
    ORDER BY m.character_id DESC, m.story_id DESC, m.memory_id DESC LIMIT $6::integer
"""


async def list_memories(tx: Transaction, asked: tuple[Any, ...], character: str | None) -> list[Memory]:
    """Return memories of a story, newest first, of one character when given; raises CharacterNotFound."""
    statement, who = (_OF_STORY, ()) if character is None else (_OF_CHARACTER, (character,))
    rows = (await tx.execute_text(statement, (tx.world_id, *asked, *who))).all()
    if who and not rows:
        await refuse_unknown(tx, who)
    return [make_memory(row) for row in rows]
