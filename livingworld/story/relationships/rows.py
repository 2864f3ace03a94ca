"""Relationships, made of the rows that hold them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from livingworld.story.relationships.records import LedgerEntry, Relationship


def make_relationship(row: Row[Any]) -> Relationship:
    """Return what a row of the table relationships says, or a change with what it led to."""
    return Relationship(
        source=UUID(int=row.source_id.int),
        target=UUID(int=row.target_id.int),
        sentiment=row.sentiment,
        trust=row.trust,
        familiarity=row.familiarity,
        kind=row.kind,
        notes=row.notes,
        changes=row.changes,
        version=row.version,
        scene_number=row.scene_number,
        updated_at=row.created_at,
    )


def make_entry(row: Row[Any]) -> LedgerEntry:
    """Return the record that a row of the table relationship_changes makes."""
    return LedgerEntry(
        sentiment_delta=row.sentiment_delta,
        trust_delta=row.trust_delta,
        familiarity_delta=row.familiarity_delta,
        reason=row.reason,
        first=row.is_first,
        relationship=make_relationship(row),
    )
