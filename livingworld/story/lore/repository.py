"""Lore: entries in books, edited by version, matched by their keys in a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func

from livingworld.errors import InvalidType
from livingworld.identifiers import new_id
from livingworld.inputs import (
    MAX_CONTENT_CHARACTERS,
    MAX_INTEGER,
    check_boolean,
    check_integer,
    check_label,
    check_sequence,
    check_text,
    check_uuid,
)
from livingworld.postgres.idempotency import CreateRequest
from livingworld.postgres.keyset import Page, check_limit, read_cursor
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.lore import reading, writing
from livingworld.story.lore.lore_keys import Asked, LoreKeys
from livingworld.story.lore.records import EDITABLE, LoreEntry, LoreMatch, NewLoreEntry, check_fields
from livingworld.story.revisions import Revision, read_revisions

#: Maximum number of entries of one call.
MAX_ENTRIES: Final = 1000
#: Most texts of one match, and how often contents are looked through.
MAX_TEXTS: Final = 1000
MAX_RECURSION: Final = 10


class LoreRepository:
    """The lore of one world."""

    def __init__(self, unit: WorldUnit, keys: LoreKeys | None = None) -> None:
        self._unit = unit
        self._keys = keys or LoreKeys()

    async def add(self, entry: NewLoreEntry, *, request_key: str | None = None) -> LoreEntry:
        """Store an entry and return it; raises and repeats as `add_many`."""
        (made,) = await self.add_many([_check_entry("entry", entry)], request_key=request_key)
        return made

    async def add_many(
        self, entries: Sequence[NewLoreEntry], *, request_key: str | None = None
    ) -> tuple[LoreEntry, ...]:
        """Store entries by one statement, all or none, and return them in the order given; raises WorldNotFound.

        With a `request_key` a repetition returns the entries as they are now, or raises LoreEntryNotFound when one was
        removed; other entries under the same key are RequestKeyReused.
        """
        given = enumerate(check_sequence("entries", entries, limit=MAX_ENTRIES))
        new = [_columns(_check_entry(f"entries[{index}]", entry)) for index, entry in given]
        request = CreateRequest.of(request_key, LockKind.LORE, "lore.add_many", new)
        rows = [{"world_id": self._unit.world_id, "lore_id": new_id(), **columns} for columns in new]
        if not rows:
            return ()
        if request is None:
            return await self._unit.write(writing.add_entries, rows)
        return await self._unit.write_idempotent(writing.add_entries_once, rows, request)

    async def get(self, lore_id: UUID) -> LoreEntry:
        """Return an entry; raises LoreEntryNotFound, also when it was removed."""
        return await self._unit.read(reading.read_entry, check_uuid("lore_id", lore_id))

    async def list(
        self,
        *,
        book: str | None = None,
        include_disabled: bool = True,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[LoreEntry]:
        """Return a page of entries in the order of book, position and id; empty when there is none."""
        check_limit(limit)
        named = None if book is None else check_label("book", book)
        check_boolean("include_disabled", include_disabled)
        place = None if after is None else read_cursor(after, _check_book, _check_position, UUID)
        return await self._unit.read(reading.list_entries, named, place, limit, include_disabled=include_disabled)

    async def books(self) -> tuple[str, ...]:
        """Return the names of the books that have entries, in order."""
        return await self._unit.read(reading.list_books)

    async def update(self, lore_id: UUID, *, expected_version: int, **fields: Any) -> LoreEntry:  # noqa: ANN401
        """Change the given fields of NewLoreEntry, keep the old ones as a revision, and return the entry.

        Locks the entry. Raises VersionConflict when it was changed since `expected_version`, LoreEntryNotFound.
        """
        if unknown := fields.keys() - set(EDITABLE):
            raise InvalidType(min(unknown), "is no field of a lore entry that can be edited")
        key, expected = check_uuid("lore_id", lore_id), check_integer("expected_version", expected_version, minimum=1)
        return await self._unit.write(writing.update_entry, key, expected, check_fields(fields))

    async def remove(self, lore_id: UUID, *, expected_version: int) -> None:
        """Remove an entry until an old copy of it is restored; locks and raises as `update`."""
        key, expected = check_uuid("lore_id", lore_id), check_integer("expected_version", expected_version, minimum=1)
        await self._unit.write(writing.update_entry, key, expected, {"removed_at": func.now()})

    async def restore(self, lore_id: UUID, version: int, *, expected_version: int) -> LoreEntry:
        """Make the copy of an old version the newest one, also of a removed entry, and return it.

        Locks and raises as `update`; LoreEntryNotFound too when there is no such version.
        """
        check_integer("version", version, minimum=1)
        key, expected = check_uuid("lore_id", lore_id), check_integer("expected_version", expected_version, minimum=1)
        return await self._unit.write(writing.restore_entry, key, expected, version)

    async def revisions(self, lore_id: UUID) -> tuple[Revision, ...]:
        """Return the old copies of an entry, oldest first; empty when it was never changed."""
        return await self._unit.read(read_revisions, "lore", check_uuid("lore_id", lore_id))

    async def match(
        self,
        text: str | Sequence[str],
        *,
        books: Sequence[str] | None = None,
        recursion: int = 0,
        limit: int = 50,
    ) -> tuple[LoreMatch, ...]:
        """Return the enabled entries that a text, or texts of which the newest is the last, call.

        Constant entries first, then the longest key first, then by book and position. A key matches a whole word or
        phrase, or any part of one, without regard to case, or as a regular expression, as its entry says. With
        `recursion`, the contents of what was called are looked through too, so many times; what they call comes last.
        The keys stay in the process; every match proves that they are the newest, by one statement for each time.
        Raises MissingPackage when an entry has a regular expression and this process has no engine for it.
        """
        given = (text,) if isinstance(text, str) else tuple(check_sequence("text", text, limit=MAX_TEXTS))
        for index, each in enumerate(given):
            check_text("text" if isinstance(text, str) else f"text[{index}]", each, limit=MAX_CONTENT_CHARACTERS)
        times = check_integer("recursion", recursion, maximum=MAX_RECURSION)
        named = None
        if books is not None:
            all_books = check_sequence("books", books, limit=MAX_ENTRIES)
            named = [check_label("books", book, empty=True) for book in all_books]
        return await self._keys.match(self._unit, Asked(given, named, check_limit(limit), times))


def _check_book(book: object) -> str:
    return check_text("after", book)


def _check_position(position: object) -> int:
    return check_integer("after", position, minimum=-MAX_INTEGER)


def _columns(entry: NewLoreEntry) -> dict[str, Any]:
    fields = {name: getattr(entry, name) for name in EDITABLE} | {"raw": entry.raw}
    return fields | {name: list(fields[name]) for name in ("keys", "secondary_keys")}


def _check_entry(field: str, entry: object) -> NewLoreEntry:
    if not isinstance(entry, NewLoreEntry):
        raise InvalidType(field, f"must be a NewLoreEntry, not {type(entry).__name__}")
    return entry
