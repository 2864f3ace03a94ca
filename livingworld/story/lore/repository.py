"""Lore: entries in books, edited by version, called up by the keys in a text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, func, insert, select, tuple_, update

from livingworld.errors import InvalidType, LoreEntryNotFound, VersionConflict
from livingworld.identifiers import new_id
from livingworld.inputs import (
    MAX_CONTENT_CHARACTERS,
    check_boolean,
    check_integer,
    check_label,
    check_sequence,
    check_text,
    check_uuid,
)
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.postgres.keyset import Page, check_limit
from livingworld.postgres.locks import lock_row
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork
from livingworld.story.lore.calling_up import call_up
from livingworld.story.lore.pages import after_cursor, cursor_of
from livingworld.story.lore.records import EDITABLE, LoreEntry, LoreMatch, NewLoreEntry, check_fields
from livingworld.story.lore.tables import lore_entries
from livingworld.story.revisions import Revision, keep_revision, read_revisions

#: Most entries of one call.
MAX_ENTRIES: Final = 1000


class LoreRepository:
    """The lore of one world."""

    def __init__(self, unit: UnitOfWork, world_id: UUID) -> None:
        self._unit = unit
        self._world_id = world_id

    async def add(self, entry: NewLoreEntry) -> LoreEntry:
        """Store an entry and return it; raises WorldNotFound."""
        (made,) = await self.add_many([_check_entry("entry", entry)])
        return made

    async def add_many(self, entries: Sequence[NewLoreEntry]) -> tuple[LoreEntry, ...]:
        """Store entries by one statement, all or none, and return them in the order given; raises WorldNotFound."""
        rows = []
        for index, given in enumerate(check_sequence("entries", entries, limit=MAX_ENTRIES)):
            entry = _check_entry(f"entries[{index}]", given)
            fields = {name: getattr(entry, name) for name in EDITABLE} | {"keys": list(entry.keys), "raw": entry.raw}
            rows.append({"world_id": self._world_id, "lore_id": new_id(), **fields})

        async def work(tx: Transaction) -> tuple[LoreEntry, ...]:
            stored = await tx.execute(insert(lore_entries).values(rows).returning(lore_entries))
            by_id = {entry.id: entry for entry in map(_entry, stored)}
            for row in rows:
                self._publish(tx, UUID(int=row["lore_id"].int))
            return tuple(by_id[UUID(int=row["lore_id"].int)] for row in rows)

        return await self._unit.run(work) if rows else ()

    async def get(self, lore_id: UUID) -> LoreEntry:
        """Return an entry; raises LoreEntryNotFound, also when it was removed."""
        key = check_uuid("lore_id", lore_id)

        async def work(tx: Transaction) -> LoreEntry:
            row = (await tx.execute(self._present().where(lore_entries.c.lore_id == key))).one_or_none()
            if row is None:
                raise LoreEntryNotFound(lore_id=key)
            return _entry(row)

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def list(
        self,
        *,
        book: str | None = None,
        include_disabled: bool = True,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[LoreEntry]:
        """Return a page of entries in the order of book, position and id; empty when there is none."""
        order = (lore_entries.c.book, lore_entries.c.position, lore_entries.c.lore_id)
        statement = self._present().order_by(*order).limit(check_limit(limit) + 1)
        if book is not None:
            statement = statement.where(lore_entries.c.book == check_label("book", book))
        if not check_boolean("include_disabled", include_disabled):
            statement = statement.where(lore_entries.c.enabled)
        if after is not None:
            statement = statement.where(tuple_(*order) > after_cursor(after))

        async def work(tx: Transaction) -> Page[LoreEntry]:
            found = [_entry(row) for row in await tx.execute(statement)]
            shown = tuple(found[:limit])
            return Page(shown, cursor_of(shown[-1]) if len(found) > limit else None)

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def books(self) -> tuple[str, ...]:
        """Return the names of the books that have entries, in order."""
        statement = select(lore_entries.c.book).where(*self._own()).distinct().order_by(lore_entries.c.book)

        async def work(tx: Transaction) -> tuple[str, ...]:
            return tuple((await tx.execute(statement)).scalars())

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def update(self, lore_id: UUID, *, expected_version: int, **fields: Any) -> LoreEntry:  # noqa: ANN401
        """Change the fields that are given, as NewLoreEntry has them, keep the old ones, and return the entry.

        Locks the entry. Raises VersionConflict when it was changed since `expected_version`, LoreEntryNotFound.
        """
        if unknown := fields.keys() - set(EDITABLE):
            raise InvalidType(min(unknown), "is no field of a lore entry that can be edited")
        return await self._change(lore_id, expected_version, check_fields(fields))

    async def remove(self, lore_id: UUID, *, expected_version: int) -> None:
        """Let an entry be found no more, until an old copy of it is restored; locks and raises as `update`."""
        await self._change(lore_id, expected_version, {"removed_at": func.now()})

    async def restore(self, lore_id: UUID, version: int, *, expected_version: int) -> LoreEntry:
        """Make the copy of an old version the newest one, also of an entry that was removed, and return it.

        Locks and raises as `update`; LoreEntryNotFound too when there is no such version.
        """
        check_integer("version", version, minimum=1)

        async def old_copy(tx: Transaction) -> Mapping[str, Any]:
            kept = await read_revisions(tx, self._world_id, "lore", lore_id)
            for revision in kept:
                if revision.version == version:
                    return {**revision.content, "removed_at": None}
            raise LoreEntryNotFound(lore_id=lore_id, version=version)

        return await self._change(lore_id, expected_version, old_copy, removed=True)

    async def revisions(self, lore_id: UUID) -> tuple[Revision, ...]:
        """Return the old copies of an entry, oldest first; empty when it was never changed."""
        key = check_uuid("lore_id", lore_id)
        return await self._unit.run(
            lambda tx: read_revisions(tx, self._world_id, "lore", key), repeatable=True, single_statement=True
        )

    async def match(self, text: str, *, books: Sequence[str] | None = None, limit: int = 50) -> tuple[LoreMatch, ...]:
        """Return the enabled entries that a text calls up, the longest key first, then by book and position.

        A key matches where it stands as whole words; case makes no difference unless the entry says so, nor does the
        way an accent is written. Of several keys of an entry the longest counts; an entry without keys is never called.
        The keys of all entries are read, a slice at a time, and looked for in a thread: the event loop goes on.
        """
        check_text("text", text, limit=MAX_CONTENT_CHARACTERS)
        check_limit(limit)
        named = None
        if books is not None:
            given = check_sequence("books", books, limit=MAX_ENTRIES)
            named = [check_label("books", book, empty=True) for book in given]

        async def work(tx: Transaction) -> tuple[LoreMatch, ...]:
            called = await call_up(tx, self._world_id, text, named, limit)
            whole = await tx.execute(self._present().where(lore_entries.c.lore_id.in_(list(called))))
            entries = {row.lore_id: _entry(row) for row in whole}
            return tuple(LoreMatch(entry=entries[each], key=key) for each, key in called.items() if each in entries)

        return await self._unit.run(work, repeatable=True)

    async def _change(
        self,
        lore_id: UUID,
        expected_version: int,
        changes: Mapping[str, Any] | Callable[[Transaction], Awaitable[Mapping[str, Any]]],
        *,
        removed: bool = False,
    ) -> LoreEntry:
        """Lock an entry, keep its copy, and write what `changes` has, or what it returns under the lock."""
        key = check_uuid("lore_id", lore_id)
        check_integer("expected_version", expected_version, minimum=1)

        async def work(tx: Transaction) -> LoreEntry:
            old = await lock_row(tx, LockKind.LORE, lore_entries, {"world_id": self._world_id, "lore_id": key})
            if old is None or (old.removed_at is not None and not removed):
                raise LoreEntryNotFound(lore_id=key)
            if old.version != expected_version:
                raise VersionConflict(expected=expected_version, actual=old.version)
            new = await changes(tx) if callable(changes) else changes
            content = {name: old._mapping[name] for name in EDITABLE}  # noqa: SLF001 - its public name
            await keep_revision(tx, self._world_id, "lore", key, version=old.version, content=content)
            statement = (
                update(lore_entries)
                .where(lore_entries.c.world_id == self._world_id, lore_entries.c.lore_id == key)
                .values(**new, version=lore_entries.c.version + 1, updated_at=func.now())
                .returning(lore_entries)
            )
            self._publish(tx, key)
            return _entry((await tx.execute(statement)).one())

        return await self._unit.run(work)

    def _publish(self, tx: Transaction, lore_id: UUID) -> None:
        publish_at_commit(tx, self._world_id, LiveKind.LORE_CHANGED, lore_id=lore_id)

    def _own(self) -> tuple[Any, ...]:
        return (lore_entries.c.world_id == self._world_id, lore_entries.c.removed_at.is_(None))

    def _present(self) -> Select[Any]:
        return select(lore_entries).where(*self._own())


def _entry(row: Row[Any]) -> LoreEntry:
    return LoreEntry(
        id=UUID(int=row.lore_id.int),
        book=row.book,
        position=row.position,
        title=row.title,
        content=row.content,
        keys=tuple(row._mapping["keys"]),  # noqa: SLF001 - its public name
        case_sensitive=row.case_sensitive,
        enabled=row.enabled,
        raw=row.raw,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _check_entry(field: str, entry: object) -> NewLoreEntry:
    if not isinstance(entry, NewLoreEntry):
        raise InvalidType(field, f"must be a NewLoreEntry, not {type(entry).__name__}")
    return entry
