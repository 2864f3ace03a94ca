"""Rows of lore, and the records that they become."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from livingworld.story.lore.records import LoreEntry


def make_entry(row: Row[Any]) -> LoreEntry:
    """Return the record that a row of the table lore_entries makes."""
    return LoreEntry(
        id=UUID(int=row.lore_id.int),
        book=row.book,
        position=row.position,
        title=row.title,
        content=row.content,
        keys=tuple(row._mapping["keys"]),  # noqa: SLF001 - its public name
        case_sensitive=row.case_sensitive,
        enabled=row.enabled,
        raw=row.raw,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
