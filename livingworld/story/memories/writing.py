"""Writing and reading memories inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, update

from livingworld.errors import AlreadyConsolidated, DimensionMismatch, MemoryNotFound
from livingworld.inputs import canonical_json
from livingworld.postgres.locks import lock_row
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.references import raise_unknown, refuse_unknown
from livingworld.story.memories.memory_embedder import sharing_embedder
from livingworld.story.memories.memory_meter import counted
from livingworld.story.memories.records import Memory
from livingworld.story.memories.rows import make_memory
from livingworld.story.memories.tables import memories, memory_embedders
from livingworld.story.stories.coordinates import Place, lock_head
from livingworld.story.stories.tables import stories

_WRITE: Final = """
    SELECT named.unknown, written.memory_id, written.created FROM livingworld.named_characters_v1($1, $7) AS named
    LEFT JOIN LATERAL livingworld.write_memories_v1(
        $1, $2, $3, $4, $5, CASE WHEN named.unknown IS NULL THEN $6 ELSE '[]' END, named.ids
    ) AS written ON true
"""
#: What every change of a memory sets.
CHANGED: Final[dict[str, Any]] = {"version": memories.c.version + 1, "updated_at": func.now()}
_PARTS: Final = """
    SELECT m.memory_id, m.character_id IS NOT DISTINCT FROM who.character_id AS is_own, m.private
    FROM livingworld.referred_character_v1($1, $6) AS who
    CROSS JOIN livingworld.memories AS m
    JOIN livingworld.path_ranges_v1($1, $2, $3, $4) AS p
        ON m.timeline_number = p.timeline_number AND m.position BETWEEN p.from_position AND p.to_position
    WHERE m.world_id = $1 AND m.story_id = $2 AND m.memory_id = ANY ($5::uuid[])
        AND m.archived_in IS NULL AND m.forgotten_at IS NULL
"""


@counted("create_memory")
async def add(
    tx: Transaction, story_id: UUID, rows: Sequence[dict[str, Any]], branch: int | None, expected_head: int | None
) -> tuple[tuple[Memory, bool], ...]:
    """Remember texts at the head of a branch; return the memory of each and whether it is new."""
    place = await lock_head(tx, story_id, branch, expected_head)
    written = await _write(tx, story_id, place, rows)
    found = await read(tx, [memory_id for memory_id, _ in written])
    return tuple((found[memory_id], created) for memory_id, created in written)


async def _write(
    tx: Transaction, story_id: UUID, place: Place, rows: Sequence[dict[str, Any]]
) -> list[tuple[UUID, bool]]:
    """Remember texts at a place; return the id of each and whether it is new. Raises CharacterNotFound."""
    await _refuse_other_dimensions(tx, rows)
    async with sharing_embedder(tx):
        at = place.written_at(tx.world_id, story_id)
        characters = sorted({row["character"] for row in rows if row["character"] is not None})
        written = (await tx.execute_text(_WRITE, (*at, canonical_json(rows), characters))).all()
    raise_unknown(written[0].unknown)
    return [(UUID(int=row.memory_id.int), row.created) for row in written]


async def read(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, Memory]:
    """Return memories by id."""
    statement = select(memories).where(memories.c.world_id == tx.world_id, memories.c.memory_id.in_(ids))
    return {(memory := make_memory(row)).id: memory for row in await tx.execute(statement)}


async def consolidate(
    tx: Transaction,
    story_id: UUID,
    ids: Sequence[UUID],
    summary: dict[str, Any],
    branch: int | None,
    expected_head: int | None,
) -> Memory:
    """Write the summary and let it stand for its parts; see MemoryRepository.consolidate."""
    place = await lock_head(tx, story_id, branch, expected_head)
    at = (tx.world_id, story_id, place.timeline, place.position)
    parts = (await tx.execute_text(_PARTS, (*at, list(ids), summary["character"]))).all()
    if missing := set(ids) - {UUID(int=part.memory_id.int) for part in parts if part.is_own}:
        await refuse_unknown(tx, [] if summary["character"] is None else [summary["character"]])
        raise MemoryNotFound(memory_id=min(missing))
    row = {**summary, "private": summary["private"] or any(part.private for part in parts)}
    ((summary_id, _),) = await _write(tx, story_id, place, [row])
    if await _take_parts(tx, ids, summary_id) < len(ids):
        raise AlreadyConsolidated(story_id=story_id)
    return (await read(tx, [summary_id]))[summary_id]


async def _take_parts(tx: Transaction, ids: Sequence[UUID], summary_id: UUID) -> int:
    """Let a summary stand for those of its parts that are free, and return how many they were."""
    own = memories.c.world_id == tx.world_id
    free = (memories.c.memory_id != summary_id, memories.c.consolidated_into.is_(None))
    parts = update(memories).where(own, memories.c.memory_id.in_(ids), *free)
    taken = (await tx.execute(parts.values(consolidated_into=summary_id, **CHANGED))).rowcount
    await tx.execute(update(memories).where(own, memories.c.memory_id == summary_id).values(is_summary=True))
    return taken


@counted("delete_memory")
async def forget(tx: Transaction, ids: Sequence[UUID]) -> int:
    """Mark memories as forgotten and return how many were not before; locks their stories."""
    own = (memories.c.world_id == tx.world_id, memories.c.memory_id.in_(ids), memories.c.forgotten_at.is_(None))
    concerned = await tx.execute(select(memories.c.story_id).where(*own).distinct())
    for story_id in sorted(UUID(int=row.story_id.int) for row in concerned):
        await lock_row(tx, LockKind.STORY, stories, {"world_id": tx.world_id, "story_id": story_id})
    return (await tx.execute(update(memories).where(*own).values(forgotten_at=func.now(), **CHANGED))).rowcount


async def _refuse_other_dimensions(tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
    """Raise DimensionMismatch when a vector is not as long as those of its embedder in this world."""
    given = [row for row in rows if "vector" in row]
    if not given:
        return
    statement = select(memory_embedders).where(memory_embedders.c.world_id == tx.world_id)
    known = (await tx.execute(statement)).one_or_none()
    if known is None:
        return
    lengths = {known.embedder: known.dimensions, known.next_embedder: known.next_dimensions}
    for row in given:
        expected = lengths.get(row["embedder"], len(row["vector"]))
        if len(row["vector"]) != expected:
            reason = f"has {len(row['vector'])} numbers; those of {row['embedder']} have {expected}"
            raise DimensionMismatch("vector", reason, expected=expected, actual=len(row["vector"]))
