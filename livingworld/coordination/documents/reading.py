"""Lists of documents and of their versions, in pages."""

from __future__ import annotations

import sys

from livingworld.coordination.documents import statements
from livingworld.coordination.documents.records import Document
from livingworld.coordination.documents.rows import make_document
from livingworld.coordination.documents.tables import document_versions, documents
from livingworld.postgres.keyset import Page, page_by
from livingworld.postgres.transactions.transaction import Transaction

_FIRST_SURROGATE, _LAST_SURROGATE = 0xD800, 0xDFFF


async def read_keys(tx: Transaction, prefix: str, after: str | None, limit: int) -> Page[Document]:
    """Return a page of the documents whose keys begin so, in the order of code points."""
    statement = statements.list_documents(tx.world_id).where(documents.c.key >= prefix)
    if (end := end_of_prefix(prefix)) is not None:
        statement = statement.where(documents.c.key < end)
    if after is not None:
        statement = statement.where(documents.c.key > after)
    rows = await tx.execute(statement.order_by(documents.c.key).limit(limit + 1))
    return page_by([make_document(row) for row in rows], limit, lambda document: document.key)


async def read_history(tx: Transaction, key: str, after: int, limit: int) -> Page[Document]:
    """Return a page of the versions of a document, oldest first."""
    version = document_versions.c.version
    statement = statements.read_versions(tx.world_id, key).where(version > after)
    rows = await tx.execute(statement.order_by(version).limit(limit + 1))
    return page_by([make_document(row) for row in rows], limit, lambda document: document.version)


def end_of_prefix(prefix: str) -> str | None:
    """Return the first text after all that begin so, or None when there is none."""
    rest = prefix.rstrip(chr(sys.maxunicode))
    if not rest:
        return None
    following = ord(rest[-1]) + 1
    if following == _FIRST_SURROGATE:
        following = _LAST_SURROGATE + 1
    return rest[:-1] + chr(following)
