"""Rows of characters, the records that they become, and the columns of a whole character."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row, ScalarSelect, Select, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from livingworld.read_only import read_only
from livingworld.story.characters.records import Character
from livingworld.story.characters.tables import character_names, characters


def select_characters(world_id: UUID) -> Select[Any]:
    """Select the characters of a world with all their names."""
    return select(characters, _all_names(world_id).label("names")).where(characters.c.world_id == world_id)


def _all_names(world_id: UUID) -> ScalarSelect[Any]:
    others = character_names.alias("others")
    oldest_first = aggregate_order_by(others.c.name, others.c.created_at, others.c.name_key)
    return (
        select(func.array_agg(oldest_first))
        .where(others.c.world_id == world_id, others.c.character_id == characters.c.character_id)
        .correlate(characters)
        .scalar_subquery()
    )


def make_character(row: Row[Any]) -> Character:
    """Return the record that a row of `select_characters` makes."""
    return Character(
        id=UUID(int=row.character_id.int),
        key=row.key,
        name=row.name,
        names=tuple(row.names or ()),
        card=read_only(row.card),
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
