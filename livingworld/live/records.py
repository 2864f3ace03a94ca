"""What comes out of a subscription."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from livingworld.live.kinds import LiveKind


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEvent:
    """Something small that was committed; livingworld's own events have ids and numbers, never texts."""

    #: Id of the story, the session or the world.
    stream_id: UUID
    #: Numbers of a stream rise in the order of commits; what a reconnect names as `after`.
    number: int
    #: A LiveKind, or the word of an application's event; a newer release may write kinds that this one does not know.
    kind: LiveKind | str
    #: What LiveKind says of the kind, where ids are texts; or what the application published.
    details: Mapping[str, Any]
    #: When its transaction began, by the database's clock.
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """Events that will not come: read the present state again, then go on."""

    stream_id: UUID
    #: How many they are; None: not counted, since the stream was not followed.
    count: int | None
    #: Number of the last one that will not come; the next item has a greater one.
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """One connection of a player to a story, a session or the world, as it was when it was read."""

    id: UUID
    #: Id of the story, the session or the world.
    stream_id: UUID
    player: str
    #: Without a heartbeat before then it is over, by the database's clock.
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentPlayer:
    """A player with at least one connection."""

    player: str
    #: When the first of the connections joined.
    joined_at: datetime
    #: Without a heartbeat of any connection before then the player has left.
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvents:
    """A page of a stream, read in one moment."""

    events: tuple[LiveEvent, ...]
    last_number: int
    #: Every event with a greater number is stored.
    kept_after: int
