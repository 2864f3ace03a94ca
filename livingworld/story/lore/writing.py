"""Writing lore: entries are added, and changed with the old copy kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, func, insert, update

from livingworld.errors import LoreEntryNotFound, VersionConflict
from livingworld.identifiers import new_id
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.postgres.idempotency import CreateRequest, create_once
from livingworld.postgres.locks import lock_row
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.lore.reading import read_entries
from livingworld.story.lore.records import EDITABLE, LoreEntry, check_expressions
from livingworld.story.lore.rows import make_entry
from livingworld.story.lore.tables import lore_entries
from livingworld.story.revisions import keep_revision, read_revisions

# Removed marks are those of earlier changes. One that another writer has locked stays until the next change.
_MARK: Final = """
    WITH former AS MATERIALIZED (
        SELECT c.change_id FROM livingworld.lore_changes AS c WHERE c.world_id = $1 FOR UPDATE SKIP LOCKED
    ), removed AS (
        DELETE FROM livingworld.lore_changes AS c USING former
        WHERE c.world_id = $1 AND c.change_id = former.change_id
    )
    INSERT INTO livingworld.lore_changes (world_id, change_id) VALUES ($1, $2)
"""


async def add_entries(tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> tuple[LoreEntry, ...]:
    """Store entries and return them in the order given; raises WorldNotFound."""
    stored = await tx.execute(insert(lore_entries).values(list(rows)).returning(lore_entries))
    by_id = {entry.id: entry for entry in map(make_entry, stored)}
    added = tuple(by_id[UUID(int=row["lore_id"].int)] for row in rows)
    await _mark_change(tx)
    for entry in added:
        _publish(tx, entry.id)
    return added


async def add_entries_once(
    tx: Transaction, rows: Sequence[Mapping[str, Any]], request: CreateRequest
) -> tuple[LoreEntry, ...]:
    """Store entries, once; raises LoreEntryNotFound when one of them was removed since."""

    async def read(ids: Sequence[str]) -> tuple[LoreEntry, ...]:
        return await read_entries(tx, [UUID(each) for each in ids])

    add = partial(add_entries, tx, rows)
    return await create_once(tx, request, add, read, lambda added: [str(entry.id) for entry in added])


async def update_entry(tx: Transaction, lore_id: UUID, expected_version: int, changes: Mapping[str, Any]) -> LoreEntry:
    """Change columns of an entry; raises VersionConflict, LoreEntryNotFound also when it was removed."""
    old = await _lock(tx, lore_id, expected_version, also_removed=False)
    check_expressions({**old._mapping, **changes})  # noqa: SLF001 - its public name
    return await _change(tx, old, changes)


async def restore_entry(tx: Transaction, lore_id: UUID, expected_version: int, version: int) -> LoreEntry:
    """Make an old copy of an entry the newest one, also of a removed entry; raises as `update_entry`."""
    old = await _lock(tx, lore_id, expected_version, also_removed=True)
    for revision in await read_revisions(tx, "lore", lore_id):
        if revision.version == version:
            return await _change(tx, old, {**revision.content, "removed_at": None})
    raise LoreEntryNotFound(lore_id=lore_id, version=version)


async def _lock(tx: Transaction, lore_id: UUID, expected_version: int, *, also_removed: bool) -> Row[Any]:
    row = await lock_row(tx, LockKind.LORE, lore_entries, {"world_id": tx.world_id, "lore_id": lore_id})
    if row is None or (row.removed_at is not None and not also_removed):
        raise LoreEntryNotFound(lore_id=lore_id)
    if row.version != expected_version:
        raise VersionConflict(expected=expected_version, actual=row.version)
    return row


async def _change(tx: Transaction, old: Row[Any], changes: Mapping[str, Any]) -> LoreEntry:
    """Keep the copy of a locked entry, write the changes, and return the entry."""
    content = {name: old._mapping[name] for name in EDITABLE}  # noqa: SLF001 - its public name
    await keep_revision(tx, "lore", old.lore_id, version=old.version, content=content)
    statement = (
        update(lore_entries)
        .where(lore_entries.c.world_id == tx.world_id, lore_entries.c.lore_id == old.lore_id)
        .values(**changes, version=lore_entries.c.version + 1, updated_at=func.now())
        .returning(lore_entries)
    )
    entry = make_entry((await tx.execute(statement)).one())
    await _mark_change(tx)
    _publish(tx, entry.id)
    return entry


async def _mark_change(tx: Transaction) -> None:
    """Let every process know, once this is committed, that the keys it has read may have changed."""
    await tx.execute_text(_MARK, (tx.world_id, new_id()))


def _publish(tx: Transaction, lore_id: UUID) -> None:
    publish_at_commit(tx, tx.world_id, LiveKind.LORE_CHANGED, lore_id=lore_id)
