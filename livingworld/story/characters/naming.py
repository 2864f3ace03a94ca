"""Who answers to a name: found without a lock, made under one, so that a name has one character whoever asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, ScalarSelect, Select, delete, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert

from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.observability import events
from livingworld.postgres.locks import lock_names
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.name_key import name_key
from livingworld.story.characters.records import Character
from livingworld.story.characters.tables import character_names, characters


def _all_names() -> ScalarSelect[Any]:
    others = character_names.alias("others")
    oldest_first = aggregate_order_by(others.c.name, others.c.created_at, others.c.name_key)
    return (
        select(func.array_agg(oldest_first))
        .where(others.c.world_id == characters.c.world_id, others.c.character_id == characters.c.character_id)
        .correlate(characters)
        .scalar_subquery()
    )


def select_characters() -> Select[Any]:
    """Select characters with all their names; the caller adds the world."""
    return select(characters, _all_names().label("names"))


async def find_by_keys(tx: Transaction, keys: Sequence[str]) -> dict[str, Character]:
    """Return who answers to these canonical keys; a key that nobody has is left out. One statement, no lock."""
    statement = (
        select_characters()
        .add_columns(character_names.c.name_key)
        .join(
            character_names,
            (character_names.c.world_id == characters.c.world_id)
            & (character_names.c.character_id == characters.c.character_id),
        )
        .where(
            characters.c.world_id == tx.world_id,
            character_names.c.world_id == tx.world_id,
            character_names.c.name_key.in_(keys),
        )
    )
    return {row.name_key: make_character(row) for row in await tx.execute(statement)}


async def make_missing(
    tx: Transaction,
    names: Mapping[str, str],
    cards: Mapping[str, Mapping[str, Any]],
    new_ids: Mapping[str, UUID],
) -> tuple[dict[str, Character], set[str]]:
    """Return who answers to each key, made where nobody did, and the keys of those this call made.

    `names`, `cards` and `new_ids` are by canonical key; who is there already under the new id was made by a try whose
    answer was lost. Locks the keys, sorted, until the transaction ends, and looks again: what
    another transaction made meanwhile is found. The lock saves work; the primary key of character_names decides.
    """
    await lock_names(tx, LockKind.CHARACTER, tx.world_id, names)
    found = await find_by_keys(tx, list(names))
    created = {key for key, character in found.items() if character.id.int == new_ids[key].int}
    for key in found.keys() - created:
        tx.log_after_commit(events.CHARACTER_CREATED_ELSEWHERE, world_id=tx.world_id, character_id=found[key].id)
    for key in sorted(names.keys() - found.keys()):
        character = {"world_id": tx.world_id, "character_id": new_ids[key]}
        if await _insert(tx, character, key, names[key], cards.get(key, {})):
            created.add(key)
    found |= await find_by_keys(tx, sorted(names.keys() - found.keys()))
    return found, created


async def _insert(tx: Transaction, character: Mapping[str, UUID], key: str, name: str, card: Mapping[str, Any]) -> bool:
    """Insert a character under a name, or nothing when somebody has the name who did not ask for the lock."""
    await tx.execute(insert(characters).values(**character, name=name, card=card))
    if await claim_name(tx, character, key, name):
        tx.log_after_commit(events.CHARACTER_CREATED, **character)
        world_id, character_id = character["world_id"], character["character_id"]
        publish_at_commit(tx, world_id, LiveKind.CHARACTER_CREATED, character_id=character_id)
        return True
    await tx.execute(
        delete(characters).where(
            characters.c.world_id == character["world_id"], characters.c.character_id == character["character_id"]
        )
    )
    return False


async def claim_name(tx: Transaction, character: Mapping[str, UUID], key: str, name: str) -> bool:
    """Give a character a name; False when the name belongs to somebody already, whoever it is."""
    statement = (
        insert(character_names)
        .values(**character, name_key=key, name=name)
        .on_conflict_do_nothing(index_elements=["world_id", "name_key"])
    )
    return (await tx.execute(statement)).rowcount == 1


def keys_of(names: Sequence[str]) -> dict[str, str]:
    """Return the names by canonical key, each as it was first written."""
    by_key: dict[str, str] = {}
    for name in names:
        by_key.setdefault(name_key(name), name)
    return by_key


def make_character(row: Row[Any]) -> Character:
    """Return the record that a row of `select_characters` makes."""
    return Character(
        id=UUID(int=row.character_id.int),
        name=row.name,
        names=tuple(row.names or ()),
        card=row.card,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
