"""The documents of a world, and the watching of one: woken by notifications, and by polling in any case."""

from __future__ import annotations

from collections.abc import AsyncIterator

from livingworld.coordination.documents import statements, writing
from livingworld.coordination.documents.records import Document
from livingworld.coordination.documents.repository import DocumentRepository, check_key
from livingworld.inputs import check_integer
from livingworld.postgres.services import Services


class Documents(DocumentRepository):
    """The documents of one world, which can be watched."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.unit)
        self._services = services

    def watch(self, key: str, *, after_version: int = 0) -> AsyncIterator[Document]:
        """Yield the document whenever its version has risen above the last one yielded, the present one first.

        Versions that came and went between two looks are skipped, the last one never is. A missing document is waited
        for, and so is a deleted one: a deletion is not yielded, and the document comes back with a higher version. No
        lock and no connection is held while waiting. Ends only by an error of reading, or when it is left.
        """
        name, seen = check_key(key), check_integer("after_version", after_version)
        return self._watch(name, seen)

    async def _watch(self, key: str, seen: int) -> AsyncIterator[Document]:
        services = self._services
        with services.notifications.subscribe(writing.document_topic(services.world_id, key)) as subscription:
            while True:
                document = await services.unit.read(writing.find, key, statements.FIND_NEWER, seen)
                if document is None:
                    await subscription.wait_or_poll(services.poll_interval)
                else:
                    seen = document.version
                    yield document
