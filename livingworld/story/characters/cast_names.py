"""The names in a scene's cast, as ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from livingworld.identifiers import new_id
from livingworld.postgres.locks import lock_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.name_key import check_name, name_key
from livingworld.story.characters.naming import keys_of, make_missing
from livingworld.story.characters.reading import find_by_keys


def check_cast_names(names: Sequence[str]) -> list[str]:
    """Return the names as they are shown; raises InvalidInput when one cannot be a name."""
    return [check_name(f"cast[{index}]", name) for index, name in enumerate(names)]


def cast_rows(world_id: UUID, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return, for each name, what finding or making its character takes; raises InvalidInput for what is no name.

    The id is the one of a character that would have to be made, the lock the one that making it takes.
    """
    return [
        {
            "name": name,
            "name_key": (key := name_key(name)),
            "lock_key": lock_key(LockKind.CHARACTER, world_id, key),
            "new_id": str(new_id()),
        }
        for name in check_cast_names(names)
    ]


async def find_cast(tx: Transaction, names: Sequence[str]) -> Mapping[str, UUID]:
    """Return the ids of the names that exist; no lock."""
    found = await find_by_keys(tx, list(keys_of(names)))
    return {name: found[name_key(name)].id for name in names if name_key(name) in found}


async def find_or_make_cast(tx: Transaction, names: Sequence[str]) -> Mapping[str, UUID]:
    """Return the ids of all names; a name that does not exist becomes a character. Locks the names."""
    shown = {key: name.strip() for key, name in keys_of(names).items()}
    found, _ = await make_missing(tx, shown, {}, {key: new_id() for key in shown})
    return {name: found[name_key(name)].id for name in names}
