"""Characters that a write names by their ids."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

from livingworld.errors import CharacterNotFound
from livingworld.postgres.transactions.transaction import Transaction

_UNKNOWN: Final = """
    SELECT given.character_id FROM unnest($2::uuid[]) AS given (character_id)
    WHERE NOT EXISTS (
        SELECT FROM livingworld.characters AS c WHERE c.world_id = $1 AND c.character_id = given.character_id
    )
    ORDER BY given.character_id LIMIT 1
"""


async def refuse_unknown(tx: Transaction, ids: Collection[UUID]) -> None:
    """Raise CharacterNotFound when the world does not have all of these characters."""
    if ids and (unknown := (await tx.execute_text(_UNKNOWN, (tx.world_id, list(ids)))).scalar()) is not None:
        raise CharacterNotFound(character_id=unknown)
