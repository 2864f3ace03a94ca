"""What is stored of what happens: the streams that are followed, and their events."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.postgres.metadata import SCHEMA, metadata, world_id_column

_STREAM_KEY: Final = ("world_id", "stream_id")

live_streams = Table(
    "live_streams",
    metadata,
    world_id_column(),
    #: Id of the story, the session or the world that is followed.
    Column("stream_id", Uuid(), primary_key=True),
    #: The counter: raised under the lock of this row.
    Column("last_number", BigInteger, nullable=False, server_default=text("0")),
    #: Every event with a greater number is kept; none was missed without a follower.
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
