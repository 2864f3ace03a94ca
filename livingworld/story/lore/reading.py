"""Reading lore: one entry, the list of a book, and the names of the books."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, tuple_

from livingworld.errors import LoreEntryNotFound
from livingworld.postgres.keyset import Page, page_by, write_cursor
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.lore.records import LoreEntry
from livingworld.story.lore.rows import make_entry
from livingworld.story.lore.tables import lore_entries

_ORDER: Final = (lore_entries.c.book, lore_entries.c.position, lore_entries.c.lore_id)


def present(tx: Transaction) -> tuple[Any, ...]:
    """Return the conditions of the world's entries that are not removed."""
    return (lore_entries.c.world_id == tx.world_id, lore_entries.c.removed_at.is_(None))


async def read_entry(tx: Transaction, lore_id: UUID) -> LoreEntry:
    """Return an entry; raises LoreEntryNotFound, also when it was removed."""
    statement = select(lore_entries).where(*present(tx), lore_entries.c.lore_id == lore_id)
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise LoreEntryNotFound(lore_id=lore_id)
    return make_entry(row)


async def read_entries(tx: Transaction, lore_ids: Sequence[UUID]) -> tuple[LoreEntry, ...]:
    """Return entries in the order of their ids as given; raises LoreEntryNotFound, also when one was removed."""
    statement = select(lore_entries).where(*present(tx), lore_entries.c.lore_id.in_(lore_ids))
    found = {entry.id: entry for entry in map(make_entry, await tx.execute(statement))}
    for lore_id in lore_ids:
        if lore_id not in found:
            raise LoreEntryNotFound(lore_id=lore_id)
    return tuple(found[lore_id] for lore_id in lore_ids)


async def list_entries(
    tx: Transaction, book: str | None, after: tuple[Any, ...] | None, limit: int, *, include_disabled: bool
) -> Page[LoreEntry]:
    """Return a page of entries in the order of book, position and id."""
    statement = select(lore_entries).where(*present(tx)).order_by(*_ORDER).limit(limit + 1)
    if book is not None:
        statement = statement.where(lore_entries.c.book == book)
    if not include_disabled:
        statement = statement.where(lore_entries.c.enabled)
    if after is not None:
        statement = statement.where(tuple_(*_ORDER) > after)
    found = [make_entry(row) for row in await tx.execute(statement)]
    return page_by(found, limit, lambda entry: write_cursor(entry.book, entry.position, str(entry.id)))


async def list_books(tx: Transaction) -> tuple[str, ...]:
    """Return the names of the books that have entries, in order."""
    statement = select(lore_entries.c.book).where(*present(tx)).distinct().order_by(lore_entries.c.book)
    return tuple((await tx.execute(statement)).scalars())
