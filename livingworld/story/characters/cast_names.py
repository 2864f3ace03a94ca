"""The names in a scene's cast, as ids: what the stories ask of the characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from livingworld.identifiers import new_id
from livingworld.postgres.locks import lock_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.name_key import check_name, name_key
from livingworld.story.characters.naming import find_by_keys, keys_of, make_missing


class WorldCastNames:
    """Who answers to the names of one world."""

    def __init__(self, world_id: UUID) -> None:
        self._world_id = world_id

    def check(self, names: Sequence[str]) -> None:
        """Raise InvalidInput when one of the names cannot be one."""
        for index, name in enumerate(names):
            check_name(f"cast[{index}]", name)

    def rows(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return, for each name, what finding or making its character takes; raise InvalidInput for what is no name.

        The id is the one of a character that would have to be made, the lock the one that making it takes.
        """
        shown = [check_name(f"cast[{index}]", name) for index, name in enumerate(names)]
        return [
            {
                "name": name,
                "name_key": (key := name_key(name)),
                "lock_key": lock_key(LockKind.CHARACTER, self._world_id, key),
                "new_id": str(new_id()),
            }
            for name in shown
        ]

    async def known(self, tx: Transaction, names: Sequence[str]) -> Mapping[str, UUID]:
        """Return the ids of those names that exist; no lock."""
        found = await find_by_keys(tx, self._world_id, list(keys_of(names)))
        return {name: found[name_key(name)].id for name in names if name_key(name) in found}

    async def ensure(self, tx: Transaction, names: Sequence[str]) -> Mapping[str, UUID]:
        """Return the ids of all names, making characters where nobody has the name; locks them."""
        shown = {key: name.strip() for key, name in keys_of(names).items()}
        found, _ = await make_missing(tx, self._world_id, shown, {}, {key: new_id() for key in shown})
        return {name: found[name_key(name)].id for name in names}
