"""Memories, made of the rows that hold them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from livingworld.errors import DimensionMismatch
from livingworld.story.memories.records import Memory, Recalled


def make_memory(row: Row[Any]) -> Memory:
    """Return the record that a row of the table memories makes."""
    return Memory(
        id=UUID(int=row.memory_id.int),
        story_id=UUID(int=row.story_id.int),
        content=row.content,
        character=None if row.character_id is None else UUID(int=row.character_id.int),
        kind=row.kind,
        private=row.private,
        importance=row.importance,
        valence=row.valence,
        scene_number=row.scene_number,
        consolidated_into=None if row.consolidated_into is None else UUID(int=row.consolidated_into.int),
        forgotten_at=row.forgotten_at,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def make_recalled(row: Row[Any], vector: list[float] | None) -> Recalled:
    """Return a memory with what its order goes by; raises DimensionMismatch when the vectors cannot be compared."""
    if row.similarity != row.similarity and vector is not None:  # NaN comes first in PostgreSQL's order
        reason = f"has {len(vector)} numbers; the memories' vectors have {row.dimensions}"
        raise DimensionMismatch("query", reason, expected=row.dimensions, actual=len(vector))
    return Recalled(memory=make_memory(row), score=row.score, similarity=row.similarity)
