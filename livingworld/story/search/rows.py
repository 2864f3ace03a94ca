"""Rows of a search, and the records that they become."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from livingworld.story.search.records import SearchHit


def make_hit(row: Row[Any]) -> SearchHit:
    """Return the record of a row of search.sql."""
    return SearchHit(
        kind=row.kind,
        story_id=None if row.story_id is None else UUID(int=row.story_id.int),
        scene_number=row.scene_number,
        id=None if row.id is None else UUID(int=row.id.int),
        title=row.title,
        excerpt=row.excerpt,
        rank=row.rank,
    )
