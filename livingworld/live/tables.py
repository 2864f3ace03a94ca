"""What is stored of what happens: the streams that are followed, and their events."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Interval,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.inputs import MAX_LABEL_CHARACTERS
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

_PLAYER_KEY: Final = ("world_id", "stream_id", "player")

present_players = Table(
    "present_players",
    metadata,
    world_id_column(),
    #: Id of the story, the session or the world where the player is.
    Column("stream_id", Uuid(), primary_key=True),
    #: As the application calls them. The row is there from "player joined" to "player left".
    Column("player", Text, primary_key=True),
    Column("joined_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint(f"char_length(player) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="player_length"),
)

presences = Table(
    "presences",
    metadata,
    world_id_column(),
    #: One connection of a player: a tab, a phone.
    Column("presence_id", Uuid(), primary_key=True),
    Column("stream_id", Uuid(), nullable=False),
    Column("player", Text, nullable=False),
    #: So long it lasts after its last heartbeat.
    Column("ttl", Interval, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(_PLAYER_KEY, [f"{SCHEMA}.present_players.{name}" for name in _PLAYER_KEY], ondelete="CASCADE"),
    CheckConstraint("ttl > interval '0'", name="ttl_positive"),
)
Index("ix_presences_player", *(presences.c[name] for name in _PLAYER_KEY))
# What the sweeper looks for.
Index("ix_presences_expires_at", presences.c.world_id, presences.c.expires_at)
