"""Writing a bundle: one moment of a world or a story, row by row."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import BinaryIO
from uuid import UUID

from sqlalchemy import func, select

from livingworld.bundles.contents import Part, parts
from livingworld.bundles.files import BundleFile, named_failures, opened_to_write
from livingworld.bundles.lines import Chain, header_line, row_line, table_line, trailer_line
from livingworld.bundles.records import FORMAT, Bundle, BundleProgress, Header, Report, described
from livingworld.errors import StoryNotFound, WorldNotFound
from livingworld.postgres.idempotency import request_keys
from livingworld.postgres.row_texts import fix_formats, read_texts, stored_revision
from livingworld.postgres.transactions.database import Database
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.tables import in_story, stories
from livingworld.story.worlds.tables import worlds


async def export_bundle(
    database: Database, world_id: UUID, story_id: UUID | None, file: BundleFile, report: Report, *, vectors: bool
) -> Bundle:
    """Write a bundle in one transaction that only reads; raises WorldNotFound, StoryNotFound, BundleFileFailed."""
    with opened_to_write(file) as opened:
        async with database.transaction(world_id, snapshot=True) as tx:
            await fix_formats(tx)
            header = await _header(tx, story_id, vectors=vectors)
            return await _Export(tx, header, opened, report).write()


async def _header(tx: Transaction, story_id: UUID | None, *, vectors: bool) -> Header:
    # The sub-select reads no row: on a cluster the node of the world sees its moment from here on too.
    place = select(func.count()).where(
        request_keys.c.world_id == tx.world_id, request_keys.c.scope_id == tx.world_id, request_keys.c.request_key == ""
    )
    now = select(func.statement_timestamp()).where(place.scalar_subquery() == 0)
    if (moment := await tx.scalar(now.where(worlds.c.world_id == tx.world_id))) is None:
        raise WorldNotFound(world_id=tx.world_id)
    if story_id is not None and await tx.scalar(now.where(*in_story(stories, tx.world_id, story_id))) is None:
        raise StoryNotFound(story_id=story_id)
    revision = await stored_revision(tx)
    return Header(world_id=tx.world_id, story_id=story_id, revision=revision, moment=moment, vectors=vectors)


def first_line(header: Header) -> dict[str, object]:
    """Return what the first line says."""
    return {
        "bundle": "livingworld",
        "format": FORMAT,
        "livingworld": version("livingworld"),
        "revision": header.revision,
        "world_id": str(header.world_id),
        "story_id": None if header.story_id is None else str(header.story_id),
        "moment": header.moment.isoformat(),
        "vectors": header.vectors,
    }


class _Export:
    """One bundle that is being written."""

    def __init__(self, tx: Transaction, header: Header, file: BinaryIO, report: Report) -> None:
        self._tx = tx
        self._header = header
        self._file = file
        self._report = report
        self._chain = Chain()
        self._counts: dict[str, int] = {}

    async def write(self) -> Bundle:
        """Write all lines, and return what they are."""
        await self._put([header_line(self._chain, first_line(self._header))])
        for part in parts(self._header):
            await self._write_table(part)
        await self._put([trailer_line(self._chain, self._counts)])
        return described(self._header, self._counts, self._chain.digest)

    async def _write_table(self, part: Part) -> None:
        name = part.table.name
        self._counts[name] = 0
        await self._put([table_line(self._chain, name, part.names)])
        conditions = part.conditions(self._header.world_id, self._header.story_id)
        async for rows in read_texts(self._tx, part.table, part.columns, *conditions):
            await self._put([row_line(self._chain, row) for row in rows])
            self._counts[name] += len(rows)
            self._report(BundleProgress(table=name, rows=sum(self._counts.values()), bytes=self._chain.size))

    async def _put(self, lines: list[bytes]) -> None:
        with named_failures():
            await asyncio.to_thread(self._file.writelines, lines)
        lines.clear()  # the thread may keep the list a while longer, beside the next one
