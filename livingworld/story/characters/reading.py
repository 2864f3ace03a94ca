"""Reading characters: one by its id, some by their names, and the list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_

from livingworld.errors import CharacterNotFound
from livingworld.postgres.keyset import Page, newest_first, page_of
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.records import Character
from livingworld.story.characters.rows import make_character, select_characters
from livingworld.story.characters.tables import character_names, characters


async def read_character(tx: Transaction, character_id: UUID) -> Character:
    """Return a character; raises CharacterNotFound."""
    statement = select_characters(tx.world_id).where(characters.c.character_id == character_id)
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise CharacterNotFound(character_id=character_id)
    return make_character(row)


async def find_by_keys(tx: Transaction, keys: Sequence[str]) -> dict[str, Character]:
    """Return the characters of these canonical keys; a key without one is left out. One statement, no lock."""
    same_character = and_(
        character_names.c.world_id == characters.c.world_id,
        character_names.c.character_id == characters.c.character_id,
    )
    statement = (
        select_characters(tx.world_id)
        .add_columns(character_names.c.name_key)
        .join(character_names, same_character)
        .where(character_names.c.world_id == tx.world_id, character_names.c.name_key.in_(keys))
    )
    return {row.name_key: make_character(row) for row in await tx.execute(statement)}


async def list_characters(tx: Transaction, after: tuple[datetime, UUID], limit: int) -> Page[Character]:
    """Return a page of characters, newest first."""
    order = (characters.c.created_at, characters.c.character_id)
    statement = newest_first(select_characters(tx.world_id), *order, after=after, limit=limit)
    return page_of((await tx.execute(statement)).all(), limit, make_character, "character_id")
