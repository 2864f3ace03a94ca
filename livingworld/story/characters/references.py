"""How a call refers to a character: by an id, or by any of the names that it has, in any spelling."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from livingworld.errors import CharacterNotFound, InvalidType
from livingworld.errors.not_found import NAME_MARK
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.name_key import check_name, name_key

_UNKNOWN: Final = "SELECT unknown FROM livingworld.named_characters_v1($1, $2)"


class Subject(str):
    """What a fact is about where it is no character: `Subject("weather")`; a plain text names a character."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Subject({str.__repr__(self)})"


def check_character(field: str, character: object) -> str:
    """Return an id or a name as referred_character_v1 takes it; raises InvalidInput for what is neither."""
    if isinstance(character, UUID):
        return str(UUID(int=character.int))
    if not isinstance(character, str) or isinstance(character, Subject):
        raise InvalidType(field, f"must be a character's id or name, not {type(character).__name__}")
    return NAME_MARK + name_key(check_name(field, character))


def check_optional_character(field: str, character: object) -> str | None:
    """Return what `check_character` returns, or None."""
    return None if character is None else check_character(field, character)


def raise_unknown(reference: str | None) -> None:
    """Raise CharacterNotFound for a reference that no character has; None is no reference."""
    if reference is not None:
        raise CharacterNotFound.of_reference(reference)


async def refuse_unknown(tx: Transaction, references: Iterable[str]) -> None:
    """Raise CharacterNotFound when the world does not have all of these characters."""
    raise_unknown((await tx.execute_text(_UNKNOWN, (tx.world_id, list(references)))).scalar())
