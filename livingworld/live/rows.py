"""From rows to records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from livingworld.live.kinds import LiveKind
from livingworld.live.records import LiveEvent, StoredEvents
from livingworld.read_only import read_only

_KINDS: Final = {kind.value: kind for kind in LiveKind}


def make_page(stream_id: UUID, rows: Sequence[Row[Any]]) -> StoredEvents:
    """Return the page that the rows of a stream make; a stream without events is one row without an event."""
    found = tuple(_make_event(stream_id, row) for row in rows if row.event_number is not None)
    return StoredEvents(events=found, last_number=rows[0].last_number, kept_after=rows[0].kept_after)


def _make_event(stream_id: UUID, row: Row[Any]) -> LiveEvent:
    return LiveEvent(
        stream_id=stream_id,
        number=row.event_number,
        kind=_KINDS.get(row.kind, row.kind),
        details=read_only(json.loads(row.details)),
        at=row.created_at,
    )
