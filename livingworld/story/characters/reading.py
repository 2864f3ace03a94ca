"""Reading characters: one by its id, some by their names, and the list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from livingworld.errors import CharacterNotFound
from livingworld.errors.not_found import NAME_MARK
from livingworld.postgres.keyset import Page, newest_first, page_of
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.records import Character
from livingworld.story.characters.rows import make_character, select_characters
from livingworld.story.characters.tables import characters
from livingworld.story.revisions import Revision, read_revisions

_CHARACTER: Final = """
    c.character_id, c.key, c.name, c.card, c.version, c.created_at, c.updated_at, (
        SELECT array_agg(o.name ORDER BY o.created_at, o.name_key) FROM livingworld.character_names AS o
        WHERE o.world_id = $1 AND o.character_id = c.character_id
    ) AS names
"""
_BY_ID: Final = f"""
    SELECT {_CHARACTER} FROM livingworld.characters AS c WHERE c.world_id = $1 AND c.character_id = $2
"""  # noqa: S608 - our own words
_BY_OWN_KEY: Final = f"""
    SELECT {_CHARACTER} FROM livingworld.characters AS c WHERE c.world_id = $1 AND c.key = $2
"""  # noqa: S608 - our own words
_BY_REFERENCES: Final = f"""
    SELECT given.reference, found.* FROM unnest($2::text[]) AS given (reference)
    CROSS JOIN LATERAL livingworld.referred_character_v1($1, given.reference) AS who
    CROSS JOIN LATERAL (
        SELECT {_CHARACTER} FROM livingworld.characters AS c
        WHERE c.world_id = $1 AND c.character_id = who.character_id OFFSET 0
    ) AS found
"""  # noqa: S608 - our own words
#: OFFSET 0 keeps the order of the look-ups, also in a plan that was made while the tables were empty.
_CHARACTER_OF_NAME: Final = f"""
    LATERAL (
        SELECT n.name_key, n.character_id FROM livingworld.character_names AS n
        WHERE n.world_id = $1 AND n.name_key = wanted.name_key OFFSET 0
    ) AS named, LATERAL (
        SELECT {_CHARACTER} FROM livingworld.characters AS c
        WHERE c.world_id = $1 AND c.character_id = named.character_id OFFSET 0
    ) AS found
"""  # noqa: S608 - our own words
_BY_KEY: Final = f"""
    SELECT named.name_key, found.* FROM (VALUES ($2)) AS wanted (name_key), {_CHARACTER_OF_NAME}
"""  # noqa: S608 - our own words
_BY_KEYS: Final = f"""
    SELECT named.name_key, found.* FROM unnest($2::text[]) AS wanted (name_key), {_CHARACTER_OF_NAME}
"""  # noqa: S608 - our own words


async def read_character(tx: Transaction, reference: str) -> Character:
    """Return a character by its id or a name, as `check_character` returns them; raises CharacterNotFound."""
    if reference.startswith(NAME_MARK):
        found = await find_by_keys(tx, [reference.removeprefix(NAME_MARK)])
        character = next(iter(found.values()), None)
    else:
        row = (await tx.execute_text(_BY_ID, (tx.world_id, UUID(reference)))).one_or_none()
        character = None if row is None else make_character(row)
    if character is None:
        raise CharacterNotFound.of_reference(reference)
    return character


async def id_of(tx: Transaction, reference: str) -> UUID:
    """Return the id of a character; a name keeps its character for ever, so no lock is needed."""
    return (await read_character(tx, reference)).id if reference.startswith(NAME_MARK) else UUID(reference)


async def read_character_revisions(tx: Transaction, reference: str) -> tuple[Revision, ...]:
    """Return the old copies of a character, oldest first; raises CharacterNotFound for an unknown name."""
    return await read_revisions(tx, "character", await id_of(tx, reference))


async def read_characters(tx: Transaction, references: Sequence[str]) -> tuple[Character, ...]:
    """Return characters in the order of these references; raises CharacterNotFound for the first that none has."""
    rows = await tx.execute_text(_BY_REFERENCES, (tx.world_id, references))
    found = {row.reference: make_character(row) for row in rows}
    for reference in references:
        if reference not in found:
            raise CharacterNotFound.of_reference(reference)
    return tuple(found[reference] for reference in references)


async def find_character(tx: Transaction, key: str) -> Character | None:
    """Return the character of a key of the application's own, or None."""
    row = (await tx.execute_text(_BY_OWN_KEY, (tx.world_id, key))).one_or_none()
    return None if row is None else make_character(row)


async def find_by_keys(tx: Transaction, keys: Sequence[str]) -> dict[str, Character]:
    """Return the characters of these canonical keys; a key without one is left out. One statement, no lock."""
    statement, asked = (_BY_KEY, keys[0]) if len(keys) == 1 else (_BY_KEYS, keys)
    rows = await tx.execute_text(statement, (tx.world_id, asked))
    return {row.name_key: make_character(row) for row in rows}


async def list_characters(tx: Transaction, after: tuple[datetime, UUID], limit: int) -> Page[Character]:
    """Return a page of characters, newest first."""
    order = (characters.c.created_at, characters.c.character_id)
    statement = newest_first(select_characters(tx.world_id), *order, after=after, limit=limit)
    rows = (await tx.execute(statement)).all()
    return page_of(rows, limit, make_character, "character_id")
