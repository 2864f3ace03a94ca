"""Changing characters: their names are locked before their rows, and old copies are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from livingworld.errors import CharacterNotFound, NameTaken, VersionConflict
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.postgres.locks import lock_names, lock_row
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.name_key import name_key
from livingworld.story.characters.naming import claim_name
from livingworld.story.characters.reading import id_of, read_character
from livingworld.story.characters.records import Character
from livingworld.story.characters.tables import character_names, characters
from livingworld.story.revisions import keep_revision


async def update_character(tx: Transaction, reference: str, expected: int, changes: Mapping[str, Any]) -> Character:
    """Change fields of a character and keep their old values; raises VersionConflict, NameTaken, CharacterNotFound."""
    character_id = await id_of(tx, reference)
    async with tx.savepoint():
        if "name" in changes:  # names are locked before rows
            await _claim(tx, character_id, changes["name"])
        key = {"world_id": tx.world_id, "character_id": character_id}
        old = await lock_row(tx, LockKind.CHARACTER, characters, key)
        if old is None:
            raise CharacterNotFound(character_id=character_id)
        if old.version != expected:
            raise VersionConflict(expected=expected, actual=old.version)
    content = {"name": old.name, "card": old.card}
    await keep_revision(tx, "character", character_id, version=old.version, content=content)
    await tx.execute(
        update(characters)
        .where(characters.c.world_id == tx.world_id, characters.c.character_id == character_id)
        .values(**changes, version=characters.c.version + 1, updated_at=func.now())
    )
    _publish(tx, character_id)
    return await read_character(tx, str(character_id))


async def add_alias(tx: Transaction, reference: str, name: str) -> Character:
    """Give a character one more name; raises NameTaken, CharacterNotFound."""
    character_id = await id_of(tx, reference)
    if await _claim(tx, character_id, name):
        _publish(tx, character_id)
    return await read_character(tx, str(character_id))


async def _claim(tx: Transaction, character_id: UUID, name: str) -> bool:
    """Give a character a name and return whether it is new to it; raises NameTaken, CharacterNotFound."""
    key = name_key(name)
    await lock_names(tx, LockKind.CHARACTER, tx.world_id, [key])
    await read_character(tx, str(character_id))
    if await claim_name(tx, character_id, key, name):
        return True
    own = (character_names.c.world_id == tx.world_id, character_names.c.name_key == key)
    owner = await tx.scalar(select(character_names.c.character_id).where(*own))
    if owner is None or owner.int != character_id.int:
        raise NameTaken(character_id=owner)
    return False


def _publish(tx: Transaction, character_id: UUID) -> None:
    publish_at_commit(tx, tx.world_id, LiveKind.CHARACTER_CHANGED, character_id=character_id)
