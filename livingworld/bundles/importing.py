"""Restoring a bundle: all of it in one transaction, read back and compared before the commit."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO, Final
from uuid import UUID

from sqlalchemy import Uuid, text

from livingworld.bundles.contents import Part, parts
from livingworld.bundles.files import BundleFile, named_failures, opened_to_read
from livingworld.bundles.reading import BundleReader, Rows, refuse_missing_tables, refuse_other_columns
from livingworld.bundles.records import Bundle, BundleProgress, Report
from livingworld.errors import BundleNotRestored, BundleOfOtherSchema, InvalidInput
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.postgres.row_texts import Texts, fix_formats, insert_texts, read_texts, stored_revision
from livingworld.postgres.transactions.database import Database
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.memories.embedding_jobs import add_jobs_of_story
from livingworld.story.worlds.tables import worlds

_FILE: Final = "file"
#: What names a world in the whole database: a copy under another id goes without.
_NAMES_OF_A_WORLD: Final = frozenset({"key", "request_key", "request_hash"})
#: A memory may refer to a summary that comes later.
_AT_THE_END: Final = text("SET CONSTRAINTS ALL DEFERRED")
_NOW: Final = text("SET CONSTRAINTS ALL IMMEDIATE")


async def import_world(database: Database, file: BundleFile, as_world: UUID | None, report: Report) -> UUID:
    """Restore a world in one transaction and return its id; raises WorldExists, BundleFileFailed, as `import_rows`."""
    with opened_to_read(file) as opened:
        reader = await asyncio.to_thread(_reader, opened)
        if reader.header.story_id is not None:
            raise InvalidInput(_FILE, "is the bundle of a story, not of a world")
        world_id = as_world or reader.header.world_id
        async with database.transaction(world_id) as tx:
            await import_rows(tx, reader, report)
    return world_id


async def import_story(database: Database, world_id: UUID, file: BundleFile, report: Report) -> UUID:
    """Restore a story in one transaction and return its id; raises as `import_world`, StoryExists."""
    with opened_to_read(file) as opened:
        reader = await asyncio.to_thread(_reader, opened)
        if (story_id := reader.header.story_id) is None:
            raise InvalidInput(_FILE, "is the bundle of a world, not of a story")
        async with database.transaction(world_id) as tx:
            await import_rows(tx, reader, report)
            await add_jobs_of_story(tx, story_id)
            publish_at_commit(tx, world_id, LiveKind.STORY_CREATED, story_id=story_id)
    return story_id


async def import_rows(tx: Transaction, reader: BundleReader, report: Report) -> Bundle:
    """Insert the rows of a bundle into the world of a transaction, and compare what is stored.

    Raises BundleDamaged, BundleOfOtherSchema, BundleNotRestored.
    """
    await fix_formats(tx)
    if (revision := await stored_revision(tx)) != reader.header.revision:
        raise BundleOfOtherSchema(
            f"The bundle is of revision {reader.header.revision}, and the database is at {revision}.",
            revision=reader.header.revision,
            database=revision,
        )
    return await _Import(tx, reader, report).run()


@dataclass(slots=True)
class _Sum:
    """How many rows, and the sum of their digests: the same in any order."""

    rows: int = 0
    digests: int = 0

    def add(self, row: Texts) -> None:
        self.rows += 1
        self.digests += int.from_bytes(sha256(json.dumps(row).encode()).digest())


class _Import:
    """One bundle that is being restored."""

    def __init__(self, tx: Transaction, reader: BundleReader, report: Report) -> None:
        self._tx = tx
        self._reader = reader
        self._report = report
        self._parts = {part.table.name: part for part in parts(reader.header)}
        self._sums: dict[str, _Sum] = defaultdict(_Sum)

    async def run(self) -> Bundle:
        """Insert, check and compare."""
        await self._tx.execute(_AT_THE_END)
        batches = self._reader.batches()
        while (batch := await asyncio.to_thread(_next, batches)) is not None:
            await self._insert(batch)
        refuse_missing_tables(list(self._parts.values()), self._reader)
        await self._tx.execute(_NOW)
        for part in self._parts.values():
            await self._compare(part)
        self._tx.leave_work()  # scenes whose words are not indexed yet
        return self._reader.bundle()

    async def _insert(self, batch: Rows) -> None:
        refuse_other_columns(list(self._parts.values()), batch)
        part = self._parts[batch.table]
        change = self._changes(part)
        rows = [change(row) for row in batch.rows]
        for row in rows:
            self._sums[batch.table].add(row)
        await insert_texts(self._tx, part.table, part.columns, rows, {"world_id": self._tx.world_id})
        done = sum(each.rows for each in self._sums.values())
        self._report(BundleProgress(table=batch.table, rows=done, bytes=self._reader.bytes))

    def _changes(self, part: Part) -> Callable[[Texts], Texts]:
        """Return what changes a row where the world gets another id."""
        old, new = str(self._reader.header.world_id), str(self._tx.world_id)
        if old == new:
            return lambda row: row
        ids = {number for number, column in enumerate(part.columns) if isinstance(column.type, Uuid)}
        left_out = {n for n, name in enumerate(part.names) if part.table is worlds and name in _NAMES_OF_A_WORLD}

        def changed(row: Texts) -> Texts:
            values = ((None if n in left_out else value) for n, value in enumerate(row))
            return [new if n in ids and value == old else value for n, value in enumerate(values)]

        return changed

    async def _compare(self, part: Part) -> None:
        stored, conditions = _Sum(), part.conditions(self._tx.world_id, self._reader.header.story_id)
        async for rows in read_texts(self._tx, part.table, part.columns, *conditions):
            for row in rows:
                stored.add(json.loads(row))
        if stored != self._sums[part.table.name]:
            raise BundleNotRestored(table=part.table.name)


def _reader(file: BinaryIO) -> BundleReader:
    with named_failures():
        return BundleReader(file)


def _next(batches: Iterator[Rows]) -> Rows | None:
    with named_failures():
        return next(batches, None)
