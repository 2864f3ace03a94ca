"""Characters: one for each name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from livingworld.deadlines import one_call
from livingworld.errors import InvalidType, SerializationFailure
from livingworld.identifiers import new_id
from livingworld.inputs import (
    UNCHANGED,
    Unchanged,
    check_changes,
    check_integer,
    check_iterable,
    check_json_object,
    check_key,
)
from livingworld.observability import events
from livingworld.postgres.keyset import Page, check_limit, newest_cursor
from livingworld.postgres.own_keys import get_or_create
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.characters.name_key import check_name, name_key
from livingworld.story.characters.naming import make_missing, make_with_key
from livingworld.story.characters.reading import (
    find_by_keys,
    find_character,
    list_characters,
    read_character,
    read_character_revisions,
    read_characters,
)
from livingworld.story.characters.records import Character
from livingworld.story.characters.references import check_character
from livingworld.story.characters.writing import add_alias, update_character
from livingworld.story.revisions import Revision

#: Maximum number of names of one call.
MAX_NAMES = 1000
#: A name can be taken and given up between two looks, but not as often as this.
_LOOKS = 5


class CharacterRepository:
    """The characters of one world."""

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def get_or_create(
        self, name: str, *, card: Mapping[str, Any] | None = None, key: str | None = None
    ) -> tuple[Character, bool]:
        """Return the character of this name and whether this call made it; look-alike spellings are one name.

        One round trip without a lock when the name is known; `card` is not used then. Otherwise locks the name until
        the transaction ends. With a `key`, an id of the application's own that is unique in the world, it is the
        character of the key, whatever she is called by now; a new one gets the name, and NameTaken is raised when
        another character has it. Raises InvalidName, WorldNotFound.
        """
        shown = check_name("name", name)
        if key is not None:
            own, new = check_key("key", key), check_json_object("card", {} if card is None else card)
            make = partial(make_with_key, character_id=new_id(), name=shown, card=new)
            return await get_or_create(self._unit, find_character, make, own)
        cards = {} if card is None else {name_key(shown): check_json_object("card", card)}
        (answer,) = await self._get_or_create([shown], cards)
        return answer

    async def get_or_create_many(
        self, names: Iterable[str], *, cards: Mapping[str, Mapping[str, Any]] | None = None
    ) -> tuple[tuple[Character, bool], ...]:
        """Return, for each name in order, its character and whether this call made it; all of them or none.

        `cards` are by name as written in `names`. Locks and raises as `get_or_create`. Of several spellings of one name
        the first counts as made.
        """
        written = [
            check_name(f"names[{index}]", name)
            for index, name in enumerate(check_iterable("names", names, limit=MAX_NAMES))
        ]
        checked = {
            name_key(check_name(f"cards[{index}]", name)): check_json_object(f"cards[{index}]", card)
            for index, (name, card) in enumerate(_cards(cards).items())
        }
        return await self._get_or_create(written, checked)

    async def _get_or_create(
        self, written: Sequence[str], cards: Mapping[str, Mapping[str, Any]]
    ) -> tuple[tuple[Character, bool], ...]:
        """Do it with names that were checked, and cards by canonical key."""
        keys = [name_key(name) for name in written]
        with one_call(self._unit.call_timeout):
            found, created = await self._ensure(dict(zip(reversed(keys), reversed(written), strict=True)), cards)
        answers = []
        for key in keys:
            answers.append((found[key], key in created))
            created.discard(key)
        return tuple(answers)

    async def find(self, name: str) -> Character | None:
        """Return the character of a name, or None; one round trip, no lock."""
        key = name_key(check_name("name", name))
        return (await self._unit.read(find_by_keys, [key])).get(key)

    async def find_by_key(self, key: str) -> Character | None:
        """Return the character of a key of the application's own, or None; one round trip, no lock."""
        return await self._unit.read(find_character, check_key("key", key))

    async def get(self, character: UUID | str) -> Character:
        """Return a character by its id or any of its names; raises CharacterNotFound."""
        return await self._unit.read(read_character, check_character("character", character))

    async def get_many(self, characters: Iterable[UUID | str]) -> tuple[Character, ...]:
        """Return characters in the order of the ids and names given; one round trip. Raises CharacterNotFound."""
        given = check_iterable("characters", characters, limit=MAX_NAMES)
        asked = [check_character(f"characters[{index}]", character) for index, character in enumerate(given)]
        return await self._unit.read(read_characters, asked) if asked else ()

    async def list(self, *, after: str | None = None, limit: int = 50) -> Page[Character]:
        """Return a page of characters, newest first; empty when there is none."""
        return await self._unit.read(list_characters, newest_cursor(after), check_limit(limit))

    async def update(
        self,
        character: UUID | str,
        *,
        expected_version: int,
        name: str | Unchanged = UNCHANGED,
        card: Mapping[str, Any] | Unchanged = UNCHANGED,
    ) -> Character:
        """Change the given fields, keep the old ones as a revision, and return the character.

        The former name stays an alias. Locks the character. Raises VersionConflict when it was changed since
        `expected_version`, NameTaken, CharacterNotFound.
        """
        check_integer("expected_version", expected_version, minimum=1)
        changes = check_changes({"name": check_name, "card": check_json_object}, {"name": name, "card": card})
        who = check_character("character", character)
        return await self._unit.write(update_character, who, expected_version, changes)

    async def add_alias(self, character: UUID | str, name: str) -> Character:
        """Give a character one more name and return it; doing it again changes nothing.

        Locks the name. Raises NameTaken when another character has it, CharacterNotFound.
        """
        who, checked = check_character("character", character), check_name("name", name)
        return await self._unit.write_idempotent(add_alias, who, checked)

    async def revisions(self, character: UUID | str) -> tuple[Revision, ...]:
        """Return the old copies of a character, oldest first; empty when it was never changed.

        Raises CharacterNotFound for a name that no character has.
        """
        return await self._unit.read(read_character_revisions, check_character("character", character))

    async def _ensure(
        self, names: Mapping[str, str], cards: Mapping[str, Mapping[str, Any]]
    ) -> tuple[dict[str, Character], set[str]]:
        """Find existing characters without a lock; make the others under one."""
        found = await self._unit.read(find_by_keys, list(names))
        for character in found.values():
            events.emit(events.CHARACTER_FOUND, world_id=self._unit.world_id, character_id=character.id)
        created: set[str] = set()
        for _ in range(_LOOKS):
            missing = {key: name for key, name in names.items() if key not in found}
            if not missing:
                return found, created
            new_ids = {key: new_id() for key in missing}
            made, new = await self._unit.write_idempotent(make_missing, missing, cards, new_ids)
            found |= made
            created |= new
        raise SerializationFailure


def _cards(cards: Mapping[str, Mapping[str, Any]] | None) -> Mapping[str, Mapping[str, Any]]:
    if cards is None:
        return {}
    if not isinstance(cards, Mapping):
        raise InvalidType("cards", f"must be a mapping of names to cards, not {type(cards).__name__}")
    return cards
