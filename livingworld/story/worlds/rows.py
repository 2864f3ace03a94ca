"""Rows of worlds, and the records that they become."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from livingworld.read_only import read_only
from livingworld.story.worlds.records import WorldRecord


def make_world_record(row: Row[Any]) -> WorldRecord:
    """Return the record of a row of `worlds`."""
    return WorldRecord(
        id=UUID(int=row.world_id.int),
        key=row.key,
        name=row.name,
        tenant=row.tenant,
        settings=read_only(row.settings),
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        archived_at=row.archived_at,
    )
