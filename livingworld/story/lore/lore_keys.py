"""The keys of a world's lore, kept in the process: read again, in slices, when the lore has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from livingworld.deadlines import one_call
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.lore.matching import EntryKeys, KeyIndex, ScannedTexts
from livingworld.story.lore.records import LoreMatch
from livingworld.story.lore.rows import make_called

#: Entries of one slice: a few milliseconds of the event loop.
_SLICE: Final = 500
#: How often keys are read for one match while others change them; the last ones were all read after it began.
_READINGS: Final = 2
_CHANGES: Final = """
    SELECT coalesce(array_agg(c.change_id ORDER BY c.change_id), '{}') AS changes
    FROM livingworld.lore_changes AS c WHERE c.world_id = $1
"""
_KEYS: Final = """
    SELECT e.lore_id, e.book, e.position, e.keys AS entry_keys, e.case_sensitive, e.whole_words, e.regex,
           e.secondary_keys, e.secondary_logic, e.constant, e.scan_depth, e.exclude_recursion
    FROM livingworld.lore_entries AS e
    WHERE e.world_id = $1 AND e.lore_id > $2 AND e.removed_at IS NULL AND e.enabled
    ORDER BY e.lore_id LIMIT $3
"""
_CALLED: Final = f"""
    SELECT known.changes, e.* FROM ({_CHANGES}) AS known
    LEFT JOIN LATERAL (
        SELECT e.lore_id, e.book, e.position, e.title, e.content, e.keys AS entry_keys, e.case_sensitive, e.enabled,
               e.raw::text AS raw, e.version, e.created_at, e.updated_at, e.whole_words, e.regex, e.secondary_keys,
               e.secondary_logic, e.constant, e.scan_depth, e.exclude_recursion, e.prevent_recursion
        FROM unnest($2::uuid[]) AS called (lore_id)
        CROSS JOIN LATERAL (
            SELECT * FROM livingworld.lore_entries AS e
            WHERE e.world_id = $1 AND e.lore_id = called.lore_id AND e.removed_at IS NULL OFFSET 0
        ) AS e
    ) AS e ON true
"""  # noqa: S608 - our own words
_FIRST: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for, and in what."""

    #: The newest last.
    texts: tuple[str, ...]
    books: Collection[str] | None
    limit: int
    #: How often the contents of what was called are looked through too.
    recursion: int


@dataclass(frozen=True, slots=True)
class _Known:
    """The keys as they were when these were the changes."""

    changes: list[UUID]
    index: KeyIndex


class LoreKeys:
    """The keys of one world's entries, of which each match proves that they are the newest."""

    def __init__(self) -> None:
        self._known: _Known | None = None
        self._reading = asyncio.Lock()

    async def match(self, unit: WorldUnit, asked: Asked) -> tuple[LoreMatch, ...]:
        """Return the enabled entries that are called, in their order."""
        unit.refuse_misplaced()
        with one_call(unit.call_timeout):
            known = self._known or await self._newer(unit, None)
            for _ in range(_READINGS):
                matches = await _match(unit, known, asked)
                if matches is not None:
                    return matches
                known = await self._newer(unit, known)
            return await _match(unit, known, asked, anyway=True) or ()

    async def _newer(self, unit: WorldUnit, old: _Known | None) -> _Known:
        """Return other keys than the old ones: those that another task has just read, or read them."""
        async with self._reading:
            if self._known is None or self._known is old:
                changes, entries = await unit.read(_read)
                self._known = _Known(changes, await asyncio.to_thread(KeyIndex, entries))
            return self._known


async def _match(unit: WorldUnit, known: _Known, asked: Asked, *, anyway: bool = False) -> tuple[LoreMatch, ...] | None:
    """Return the matches; None when the keys are not the newest, unless they are to do anyway."""
    matches: list[LoreMatch] = []
    contents: list[str] = []
    for depth in range(asked.recursion + 1):
        so_far = frozenset(match.entry.id for match in matches)
        texts = ScannedTexts(asked.texts, tuple(contents), so_far)
        called = await asyncio.to_thread(known.index.match, texts, asked.books, asked.limit - len(matches))
        rows = await unit.read(_read_called, list(called))
        if rows[0].changes != known.changes and not anyway:
            return None
        entries = {entry.id: entry for entry in (make_called(row) for row in rows if row.lore_id is not None)}
        matches += [
            LoreMatch(entry=entries[each], key=key, depth=depth) for each, key in called.items() if each in entries
        ]
        more = [entry.content for entry in entries.values() if not entry.prevent_recursion]
        contents += more
        if not more or len(matches) >= asked.limit:
            break
    return tuple(matches)


async def _read(tx: Transaction) -> tuple[list[UUID], list[EntryKeys]]:
    """Return the changes, and the keys of all entries as they were then or later."""
    changes = (await tx.execute_text(_CHANGES, (tx.world_id,))).one().changes
    entries: list[EntryKeys] = []
    after, more = _FIRST, True
    while more:
        rows = (await tx.execute_text(_KEYS, (tx.world_id, after, _SLICE))).all()
        entries += [
            EntryKeys(
                *(UUID(int=row.lore_id.int), row.book, row.position, row.entry_keys, row.case_sensitive),
                *(row.whole_words, row.regex, row.secondary_keys, row.secondary_logic, row.constant, row.scan_depth),
                exclude_recursion=row.exclude_recursion,
            )
            for row in rows
        ]
        more = len(rows) == _SLICE
        after = entries[-1].lore_id if more else after
    return changes, entries


async def _read_called(tx: Transaction, called: list[UUID]) -> Sequence[Row[Any]]:
    return (await tx.execute_text(_CALLED, (tx.world_id, called))).all()
