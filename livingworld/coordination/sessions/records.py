"""What comes out: sessions, interactions and tasks as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

#: What a task can be; a task that is asked to stop runs until its owner has stopped.
TaskState = Literal["running", "finished", "failed", "cancelled"]
#: What becomes of a task whose owner is dead.
WhenOwnerDies = Literal["fail", "take_over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A player's sitting as it was when it was read."""

    id: UUID
    #: The application's own key, or None; unique in the world.
    key: str | None
    #: Who plays, as the application calls them.
    player: str | None
    #: What the application knows of the sitting, a JSON object.
    context: Mapping[str, Any]
    #: Raised by every change of the context; `set_context` takes the one it decided on.
    context_version: int
    #: Raised by every clear; a call that names a lower one is refused.
    epoch: int
    #: Number of the newest interaction; 0 when there was none.
    last_interaction_number: int
    heartbeat_at: datetime
    closed_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One exchange of a session as it was when it was read."""

    session_id: UUID
    #: Counts the interactions of the session, no gap and no duplicate; a clear does not reset it.
    number: int
    request: str
    #: None: not answered yet.
    response: str | None
    metadata: Mapping[str, Any]
    #: Raised by every change.
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A job of a session as it was when it was read; the owner's copy, with its token, is what lets it write."""

    id: UUID
    session_id: UUID
    kind: str
    #: The session's epoch when it was created.
    epoch: int
    state: TaskState
    #: Raised by every takeover.
    token: int
    payload: Mapping[str, Any]
    #: The last progress reported, JSON, or None.
    progress: Any
    #: What `finish` was given, JSON, or None.
    result: Any
    error: str | None
    #: An owner without a heartbeat for so long is dead.
    dead_after: timedelta
    when_owner_dies: WhenOwnerDies
    heartbeat_at: datetime
    #: When its owner was asked to stop; None: not asked.
    cancel_requested_at: datetime | None
    cancel_reason: str | None
    created_at: datetime
    #: None while it runs.
    ended_at: datetime | None
