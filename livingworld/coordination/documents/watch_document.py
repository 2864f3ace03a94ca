"""Watching documents: told by a notification after each commit, and found by polling in any case."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import blake2b
from uuid import UUID

from livingworld.coordination.documents import statements
from livingworld.coordination.documents.records import Document
from livingworld.coordination.documents.repository import DocumentRepository, check_key
from livingworld.inputs import check_integer
from livingworld.postgres.notifications import Notifications
from livingworld.postgres.transactions.transaction import T, Work
from livingworld.postgres.transactions.unit_of_work import UnitOfWork


class WatchedDocuments(DocumentRepository):
    """The documents of one world, where each call is a whole transaction, and its change is told after the commit."""

    def __init__(
        self, unit: UnitOfWork, world_id: UUID, notifications: Notifications, poll_interval: timedelta
    ) -> None:
        super().__init__(unit, world_id)
        self._notifications = notifications
        self._poll_interval = poll_interval

    def watch(self, key: str, *, after_version: int = 0) -> AsyncIterator[Document]:
        """Yield the document whenever its version has risen above the last one yielded, the present one first.

        Versions that came and went between two looks are skipped, the last one never is. A missing document is waited
        for. No lock and no connection is held while waiting. Ends only by an error of reading, or when it is left.
        """
        name, seen = check_key(key), check_integer("after_version", after_version)
        return self._watch(name, seen)

    async def _watch(self, key: str, seen: int) -> AsyncIterator[Document]:
        newer = statements.read_document(self._world_id, key)
        version = newer.selected_columns.version
        with self._notifications.subscribe(document_topic(self._world_id, key)) as subscription:
            while True:
                document = await self._find(newer.where(version > seen))
                if document is None:
                    await subscription.wait(self._poll_interval)
                else:
                    seen = document.version
                    yield document

    async def _change(self, key: str, work: Work[T], *, single_statement: bool = False) -> T:
        result = await super()._change(key, work, single_statement=single_statement)
        if result is not None:
            self._notifications.notify(document_topic(self._world_id, key))
        return result


def document_topic(world_id: UUID, key: str) -> str:
    """Return the topic on which changes of a document are told: ASCII, short, and without the key's text."""
    return f"document:{blake2b(key.encode(), digest_size=16, key=world_id.bytes).hexdigest()}"
