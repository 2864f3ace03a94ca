"""The entries that match a text: keys are read in slices and searched in a thread, so the event loop is not blocked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, select

from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.lore.matching import SearchedText, order_of_match
from livingworld.story.lore.reading import present
from livingworld.story.lore.records import LoreMatch
from livingworld.story.lore.rows import make_entry
from livingworld.story.lore.tables import lore_entries

#: Entries of one slice: a few milliseconds of the event loop.
_SLICE: Final = 500
_FIRST: Final = UUID(int=0)
_Match = tuple[tuple[object, ...], UUID, str]


async def match_entries(tx: Transaction, text: str, books: Sequence[str] | None, limit: int) -> tuple[LoreMatch, ...]:
    """Return the enabled entries whose keys occur in a text, in their order."""
    called = await _best_matches(tx, text, books, limit)
    found = await tx.execute(select(lore_entries).where(*present(tx), lore_entries.c.lore_id.in_(list(called))))
    entries = {entry.id: entry for entry in map(make_entry, found)}
    return tuple(LoreMatch(entry=entries[each], key=key) for each, key in called.items() if each in entries)


async def _best_matches(tx: Transaction, text: str, books: Sequence[str] | None, limit: int) -> dict[UUID, str]:
    """Return the ids of the first entries, in their order, each with the key that matched."""
    searched = await asyncio.to_thread(SearchedText, text)
    called: list[_Match] = []
    after, more = _FIRST, True
    while more:
        rows = (await tx.execute(_slice(tx, books, after))).all()
        called = await asyncio.to_thread(_first_of, searched, called, rows, limit)
        more = len(rows) == _SLICE
        after = rows[-1].lore_id if more else after
    return {lore_id: key for _, lore_id, key in called}


def _slice(tx: Transaction, books: Sequence[str] | None, after: UUID) -> Select[Any]:
    columns = lore_entries.c
    keys = (
        columns.lore_id,
        columns.book,
        columns.position,
        columns["keys"].label("entry_keys"),
        columns.case_sensitive,
    )
    own = (*present(tx), columns.enabled, columns.lore_id > after)
    statement = select(*keys).where(*own).order_by(columns.lore_id).limit(_SLICE)
    return statement if books is None else statement.where(columns.book.in_(books))


def _first_of(searched: SearchedText, called: list[_Match], rows: Sequence[Row[Any]], limit: int) -> list[_Match]:
    """Return the first matches of the earlier slices and this one."""
    new = [
        (order_of_match(key, row.book, row.position, row.lore_id), UUID(int=row.lore_id.int), key)
        for row in rows
        if (key := searched.longest_key(row.entry_keys, case_sensitive=row.case_sensitive))
    ]
    return sorted(called + new, key=lambda each: each[0])[:limit]
