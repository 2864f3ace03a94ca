"""Reading streams: which have moved, by one statement for all worlds, and what is new, by one for each world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from typing import Final
from uuid import UUID

from livingworld.live.records import StoredEvents
from livingworld.live.rows import make_page
from livingworld.postgres.transactions.transaction import Transaction

#: Most events of one stream that are read by one statement.
PAGE: Final = 500
#: Most events of all streams together that are read by one statement, when there are fewer streams than that.
_PAGES: Final = 2_000
_READ: Final = files(__package__).joinpath("sql/read_events.sql").read_text()
#: The one statement over many worlds: each look-up names its world, and where tables are distributed it asks each node.
_LAST_NUMBERS: Final = """
    SELECT given.ordinal, s.last_number
    FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS given (world_id, stream_id, ordinal)
    JOIN livingworld.live_streams s ON s.world_id = given.world_id AND s.stream_id = given.stream_id
"""


def page_size(streams: int) -> int:
    """Return how many events of each stream are read when so many streams are read together."""
    return max(1, min(PAGE, _PAGES // streams))


async def read_events(tx: Transaction, after: Mapping[UUID, int]) -> dict[UUID, StoredEvents]:
    """Return of each stream the events after a number, oldest first, without the streams that are gone. One statement.

    At most `page_size` events of each.
    """
    given = (tx.world_id, list(after), list(after.values()), page_size(len(after)))
    rows = (await tx.execute_text(_READ, given)).all()
    by_stream = ((UUID(int=key.int), list(own)) for key, own in groupby(rows, lambda row: row.stream_id))
    return {stream_id: make_page(stream_id, own) for stream_id, own in by_stream}


async def last_numbers(tx: Transaction, streams: Sequence[tuple[UUID, UUID]]) -> list[int | None]:
    """Return the last number of each stream, named by its world and id; None for one that is gone. One statement."""
    worlds, ids = [world_id for world_id, _ in streams], [stream_id for _, stream_id in streams]
    found = {row.ordinal: row.last_number for row in await tx.execute_text(_LAST_NUMBERS, (worlds, ids))}
    return [found.get(ordinal) for ordinal in range(1, len(streams) + 1)]
