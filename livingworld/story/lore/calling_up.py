"""Which entries a text calls up: keys are read in slices and looked for in a thread, so the event loop goes on."""

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

#: Entries of one slice: few milliseconds of the event loop.
_SLICE: Final = 500
_FIRST: Final = UUID(int=0)
_Called = tuple[tuple[object, ...], UUID, str]


async def match_entries(tx: Transaction, text: str, books: Sequence[str] | None, limit: int) -> tuple[LoreMatch, ...]:
    """Return the enabled entries that a text calls up, in their order."""
    called = await _call_up(tx, text, books, limit)
    found = await tx.execute(select(lore_entries).where(*present(tx), lore_entries.c.lore_id.in_(list(called))))
    entries = {entry.id: entry for entry in map(make_entry, found)}
    return tuple(LoreMatch(entry=entries[each], key=key) for each, key in called.items() if each in entries)


async def _call_up(tx: Transaction, text: str, books: Sequence[str] | None, limit: int) -> dict[UUID, str]:
    """Return the ids of the entries that come first, in their order, each with the key that called it up."""
    searched = await asyncio.to_thread(SearchedText, text)
    called: list[_Called] = []
    after, more = _FIRST, True
    while more:
        rows = (await tx.execute(_slice(tx, books, after))).all()
        called = await asyncio.to_thread(_first_of, searched, called, rows, limit)
        more = len(rows) == _SLICE
        after = rows[-1].lore_id if more else after
    return {lore_id: key for _, lore_id, key in called}


def _slice(tx: Transaction, books: Sequence[str] | None, after: UUID) -> Select[Any]:
    columns = lore_entries.c
    keys = (columns.lore_id, columns.book, columns.position, columns["keys"].label("called_by"), columns.case_sensitive)
    own = (*present(tx), columns.enabled, columns.lore_id > after)
    statement = select(*keys).where(*own).order_by(columns.lore_id).limit(_SLICE)
    return statement if books is None else statement.where(columns.book.in_(books))


def _first_of(searched: SearchedText, called: list[_Called], rows: Sequence[Row[Any]], limit: int) -> list[_Called]:
    """Return those that come first of what was called up before and what this slice adds."""
    new = [
        (order_of_match(key, row.book, row.position, row.lore_id), UUID(int=row.lore_id.int), key)
        for row in rows
        if (key := searched.longest_key(row.called_by, case_sensitive=row.case_sensitive))
    ]
    return sorted(called + new, key=lambda each: each[0])[:limit]
