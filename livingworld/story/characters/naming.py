"""Making the characters of names, under a lock on the names, so that a name has one character."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from livingworld.errors import NameTaken
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.observability import events
from livingworld.postgres.locks import lock_names
from livingworld.postgres.own_keys import insert_with_key, own_key_name
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.name_key import name_key
from livingworld.story.characters.reading import find_by_keys, find_character
from livingworld.story.characters.records import Character
from livingworld.story.characters.tables import character_names, characters


async def make_missing(
    tx: Transaction,
    names: Mapping[str, str],
    cards: Mapping[str, Mapping[str, Any]],
    new_ids: Mapping[str, UUID],
) -> tuple[dict[str, Character], set[str]]:
    """Return the character of each key, and the keys of those that this call made.

    `names`, `cards` and `new_ids` are by canonical key; a character that has the new id already was made by a try whose
    answer was lost. Locks the keys, sorted, until the transaction ends, and looks again: what another transaction made
    meanwhile is found. The lock saves work; the primary key of character_names decides.
    """
    await lock_names(tx, LockKind.CHARACTER, tx.world_id, names)
    found = await find_by_keys(tx, list(names))
    created = {key for key, character in found.items() if character.id.int == new_ids[key].int}
    for key in found.keys() - created:
        tx.log_after_commit(events.CHARACTER_CREATED_ELSEWHERE, world_id=tx.world_id, character_id=found[key].id)
    for key in sorted(names.keys() - found.keys()):
        if await _insert(tx, new_ids[key], key, names[key], cards.get(key, {})):
            created.add(key)
    found |= await find_by_keys(tx, sorted(names.keys() - found.keys()))
    return found, created


async def make_with_key(
    tx: Transaction, key: str, character_id: UUID, name: str, card: Mapping[str, Any]
) -> tuple[Character, bool] | None:
    """Make a character with a key of the application's own, or return the one that has it; None: it is gone again.

    Locks the key and the name. Raises NameTaken when another character has the name.
    """
    canonical = name_key(name)
    own_key = own_key_name(key)
    await lock_names(tx, LockKind.CHARACTER, tx.world_id, [own_key, canonical])
    new = {"character_id": character_id, "key": key, "name": name, "card": card}
    async with tx.savepoint():
        if await insert_with_key(tx, LockKind.CHARACTER, characters, new) is not None:
            await _claim_for_new(tx, character_id, canonical, name)
    found = await find_character(tx, key)
    return None if found is None else (found, found.id.int == character_id.int)


async def _claim_for_new(tx: Transaction, character_id: UUID, key: str, name: str) -> None:
    """Give a new character its name, or raise NameTaken."""
    if not await claim_name(tx, character_id, key, name):
        owner = (await find_by_keys(tx, [key])).get(key)
        raise NameTaken(character_id=None if owner is None else owner.id)
    _report(tx, character_id)


async def _insert(tx: Transaction, character_id: UUID, key: str, name: str, card: Mapping[str, Any]) -> bool:
    """Insert a character under a name, or nothing when a writer that did not take the lock has given out the name."""
    own = {"world_id": tx.world_id, "character_id": character_id}
    await tx.execute(insert(characters).values(**own, name=name, card=card))
    if not await claim_name(tx, character_id, key, name):
        given_up = (characters.c.world_id == tx.world_id, characters.c.character_id == character_id)
        await tx.execute(delete(characters).where(*given_up))
        return False
    _report(tx, character_id)
    return True


def _report(tx: Transaction, character_id: UUID) -> None:
    tx.log_after_commit(events.CHARACTER_CREATED, world_id=tx.world_id, character_id=character_id)
    publish_at_commit(tx, tx.world_id, LiveKind.CHARACTER_CREATED, character_id=character_id)


async def claim_name(tx: Transaction, character_id: UUID, key: str, name: str) -> bool:
    """Give a character a name; False when a character has the name already, also this one."""
    new = insert(character_names).values(world_id=tx.world_id, character_id=character_id, name_key=key, name=name)
    return (await tx.execute(new.on_conflict_do_nothing(index_elements=["world_id", "name_key"]))).rowcount == 1


def keys_of(names: Sequence[str]) -> dict[str, str]:
    """Return the names by canonical key, each as it was first written."""
    by_key: dict[str, str] = {}
    for name in names:
        by_key.setdefault(name_key(name), name)
    return by_key
