"""Writing documents: by one statement, or by several under the document's lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from livingworld.coordination.documents import statements
from livingworld.coordination.documents.merge import Sides, Strategies, merge, same
from livingworld.coordination.documents.records import ABSENT, Document, MergeResult
from livingworld.coordination.documents.rows import make_document
from livingworld.coordination.documents.tables import documents
from livingworld.errors import DocumentNotFound, NotMergeable, SerializationFailure
from livingworld.inputs import canonical_json, check_json
from livingworld.live.kinds import LiveKind
from livingworld.live.log import note_published, publish_at_commit
from livingworld.postgres.locks import in_order, lock_names, lock_row, row_order_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction

#: Nothing removes the row of a document but the removal of its world, so the second look finds it and locks it.
_LOOKS: Final = 3


def document_topic(world_id: UUID, key: str) -> str:
    """Return the topic that is notified of a document's changes: ASCII, short, and without the key's text."""
    return f"document:{blake2b(key.encode(), digest_size=16, key=world_id.bytes).hexdigest()}"


async def write(
    tx: Transaction, key: str, statement: statements.Write, values: Mapping[str, object]
) -> Document | None:
    """Run one writing statement, which locks the document, and return what it wrote, or None.

    The row may be locked also where nothing was written: most statements are judged under the lock. Raises
    LockOrderViolation instead of waiting out of order, as `lock_row` does.
    """
    order_key = row_order_key({"world_id": tx.world_id, "key": key})
    async with in_order(tx, LockKind.DOCUMENT, order_key):
        text = statement(tx.is_single).bind(world_id=tx.world_id, key=key, **values)
        row = (await tx.execute_text(*text)).one_or_none()
    tx.lock_order.hold(LockKind.DOCUMENT, order_key)
    if row is None:
        return None
    tx.notify_after_commit(document_topic(tx.world_id, key))
    if not tx.is_single:
        publish_at_commit(tx, tx.world_id, LiveKind.DOCUMENT_CHANGED, key=key, version=row.version)
    elif row.followed:
        note_published(tx, tx.world_id)
    return make_document(row)


async def find(tx: Transaction, key: str, statement: str = statements.FIND, *more: object) -> Document | None:
    """Return the document of this key that a statement finds, or None; no lock."""
    row = (await tx.execute_text(statement, (tx.world_id, key, *more))).one_or_none()
    return None if row is None else make_document(row)


async def update(tx: Transaction, key: str, function: Callable[[Any], object], default: object) -> Document:
    """Write what a function makes of the value, under the lock; of the default, when there is no document.

    The name is locked before a document is made. The lock saves work: a document that is made without it meanwhile is
    found by the primary key, and the function is called again.
    """
    for _ in range(_LOOKS):
        current = await _lock(tx, key, make=default is not ABSENT)
        if current is None and default is ABSENT:
            raise DocumentNotFound
        value = check_json("default", default) if current is None else current.value
        new = check_json("the result of the function", function(value))
        json = canonical_json(new)
        if current is None:
            document = await write(tx, key, statements.create, {"value": json})
        else:
            document = await write(tx, key, statements.replace_version, {"value": json, "expected": current.version})
        if document is not None:
            return document
    raise SerializationFailure


async def merge_changes(
    tx: Transaction, key: str, base_version: int, changes: Mapping[str, Any], strategies: Strategies
) -> MergeResult:
    """Merge changes into a document under its lock; raises DocumentNotFound, NotMergeable."""
    theirs = await _lock(tx, key, make=False)
    if theirs is None:
        raise DocumentNotFound
    base = await read_version(tx, key, base_version)
    sides = Sides(
        base=_object(base),
        base_version=base_version,
        theirs=_object(theirs),
        their_version=theirs.version,
        changes=changes,
    )
    merged, conflicts = merge(sides, strategies)
    document: Document | None = theirs
    if not same(merged, sides.theirs):
        value = canonical_json(check_json("changes", merged))
        document = await write(tx, key, statements.replace_version, {"value": value, "expected": theirs.version})
    if document is None:
        raise SerializationFailure
    return MergeResult(document=document, conflicts=conflicts)


async def read_version(tx: Transaction, key: str, version: int) -> Document:
    """Return a document as it was at one version; raises DocumentNotFound."""
    document = await find(tx, key, statements.AT_VERSION, version)
    if document is None:
        raise DocumentNotFound(version=version)
    return document


async def _lock(tx: Transaction, key: str, *, make: bool) -> Document | None:
    """Lock a document and return it as it is now, or None; the name of one that is to be made is locked instead."""
    if make and await find(tx, key) is None:
        await lock_names(tx, LockKind.DOCUMENT, tx.world_id, [key])
    if await lock_row(tx, LockKind.DOCUMENT, documents, {"world_id": tx.world_id, "key": key}) is None:
        return None
    return await find(tx, key)


def _object(document: Document) -> Mapping[str, Any]:
    value = document.value
    if not isinstance(value, dict):
        raise NotMergeable(version=document.version)
    return value
