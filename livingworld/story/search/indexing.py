"""Indexing the words of scenes, and how many texts are still to be indexed."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from livingworld.observability import events
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.search.records import SearchBacklog

_INDEX: Final = "SELECT * FROM livingworld.index_scenes_v1($1, $2)"
_BACKLOG: Final = """
    SELECT count(*) AS texts, min(u.queued_at) AS since FROM livingworld.unindexed_scenes AS u WHERE u.world_id = $1
"""
_MILLISECOND: Final = timedelta(milliseconds=1)


async def index_scenes(tx: Transaction, limit: int) -> int:
    """Index up to `limit` texts by one statement, and return how many there were."""
    row = (await tx.execute_text(_INDEX, (tx.world_id, limit))).one()
    if row.texts:
        waited = round(row.waited / _MILLISECOND)
        tx.log_after_commit(events.WORDS_INDEXED, world_id=tx.world_id, texts=row.texts, waited_milliseconds=waited)
    count: int = row.texts
    return count


async def read_backlog(tx: Transaction) -> SearchBacklog:
    """Return what is still to be indexed. One statement."""
    row = (await tx.execute_text(_BACKLOG, (tx.world_id,))).one()
    return SearchBacklog(texts=row.texts, since=row.since)
