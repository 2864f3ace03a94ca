"""The log of small events of stories, sessions and worlds, written by the transaction that they tell of.

Only what somebody follows is logged. The numbers of a stream are made under the lock of its row, by the last statement
before the commit: their order is the order of commits, and a transaction that is rolled back leaves no gap.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Delete,
    ForeignKeyConstraint,
    Select,
    Table,
    Text,
    Uuid,
    delete,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.database.live_kinds import LiveKind
from livingworld.database.metadata import SCHEMA, metadata, world_id_column

_STREAM_KEY: Final = ("world_id", "stream_id")

live_streams = Table(
    "live_streams",
    metadata,
    world_id_column(),
    #: Id of the story, the session or the world that is followed.
    Column("stream_id", Uuid(), primary_key=True),
    #: The counter: raised under the lock of this row.
    Column("last_number", BigInteger, nullable=False, server_default=text("0")),
    #: Every event with a greater number is kept, none was missed while nobody followed.
    Column("kept_after", BigInteger, nullable=False, server_default=text("0")),
    #: Until then what happens is logged.
    Column("followed_until", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint("kept_after BETWEEN 0 AND last_number", name="kept_after_known"),
)

live_events = Table(
    "live_events",
    metadata,
    world_id_column(),
    Column("stream_id", Uuid(), primary_key=True),
    Column("event_number", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("details", JSONB, nullable=False, server_default=text("'{}'")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(_STREAM_KEY, [f"{SCHEMA}.live_streams.{name}" for name in _STREAM_KEY], ondelete="CASCADE"),
    CheckConstraint("event_number > 0", name="event_number_positive"),
)

PUBLISH: Final = "SELECT * FROM livingworld.publish_events_v1($1, $2, $3, $4)"


@dataclass(frozen=True, slots=True)
class Unpublished:
    """An event of a transaction that is still open."""

    world_id: UUID
    stream_id: UUID
    kind: LiveKind
    details: Mapping[str, Any]


def publishing(events: Iterable[Unpublished]) -> Iterable[tuple[Any, ...]]:
    """Return the parameters of PUBLISH, for each world that the events are of."""
    worlds: dict[UUID, list[Unpublished]] = {}
    for event in events:
        worlds.setdefault(event.world_id, []).append(event)
    for world_id, told in worlds.items():
        streams = [event.stream_id for event in told]
        kinds = [event.kind.value for event in told]
        yield world_id, streams, kinds, [json.dumps(dict(event.details), default=str) for event in told]


def live_topic(stream_id: UUID) -> str:
    """Return the topic on which it is told that a stream has new events."""
    return f"live:{stream_id}"


def remove_streams(world_id: UUID, stream_ids: Iterable[UUID]) -> Delete:
    """Return the statement that removes streams with what they told, since what they tell of is removed."""
    return delete(live_streams).where(
        live_streams.c.world_id == world_id, live_streams.c.stream_id.in_(list(stream_ids))
    )


def lock_streams(world_id: UUID) -> Select[Any]:
    """Return the statement that locks every stream of a world against everybody."""
    rows = select(live_streams.c.stream_id).where(live_streams.c.world_id == world_id)
    locked = rows.order_by(live_streams.c.stream_id).with_for_update().subquery()
    return select(func.count()).select_from(locked)
