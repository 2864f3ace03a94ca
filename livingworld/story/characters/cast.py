"""The cast of a scene: as it is given, as the statements take it, and the characters that are made for its names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from livingworld.identifiers import new_id
from livingworld.postgres.locks import lock_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.name_key import check_name, name_key
from livingworld.story.characters.naming import make_missing


@dataclass(frozen=True, slots=True)
class CastMember:
    """A character of the cast of a new scene; NewScene raises InvalidInput when it could not be stored."""

    #: A name, an alias or an id. A name that no character has makes a new one with the scene.
    character: UUID | str
    #: The part of the character in the scene, in the application's words.
    role: str | None = None
    #: From 0 to 1, or None.
    importance: float | None = None
    #: What a new character begins with, a JSON object; a character that exists keeps its own.
    card: Mapping[str, Any] | None = field(default=None, kw_only=True)


def cast_rows(members: Iterable[CastMember]) -> list[dict[str, Any]]:
    """Return a cast as resolved_cast_v1 takes it; raises InvalidName for what cannot be a name."""
    return [
        {**_who(f"cast[{index}]", member.character), "role": member.role, "importance": member.importance}
        for index, member in enumerate(members)
    ]


def newcomer_rows(world_id: UUID, members: Iterable[CastMember]) -> list[dict[str, Any]]:
    """Return a cast as `cast_rows` does, each name with what making its character takes.

    The id is the one of a character that would have to be made, the lock the one that making it takes.
    """
    given = tuple(members)
    rows = cast_rows(given)
    for row, member in zip(rows, given, strict=True):
        if isinstance(member.character, str):
            row["name"] = member.character.strip()
            row["lock_key"] = lock_key(LockKind.CHARACTER, world_id, row["name_key"])
            row["new_id"] = str(new_id())
            if member.card:
                row["card"] = member.card
    return rows


async def make_cast(tx: Transaction, members: Iterable[CastMember]) -> None:
    """Make the characters of the names in a cast that no character has; locks the names."""
    first: dict[str, CastMember] = {}
    for member in members:
        if isinstance(member.character, str):
            first.setdefault(name_key(member.character), member)
    names = {key: str(member.character).strip() for key, member in first.items()}
    cards = {key: member.card for key, member in first.items() if member.card}
    if names:
        await make_missing(tx, names, cards, {key: new_id() for key in names})


def _who(field_name: str, character: UUID | str) -> dict[str, Any]:
    if isinstance(character, UUID):
        return {"character_id": str(UUID(int=character.int))}
    return {"name_key": name_key(check_name(field_name, character))}
