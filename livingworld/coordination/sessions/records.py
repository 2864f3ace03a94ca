"""What comes out: sessions, interactions and tasks as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row

#: What a task can be; a task that is asked to stop runs until its owner has stopped.
TaskState = Literal["running", "finished", "failed", "cancelled"]
#: What becomes of a task whose owner is not heard of.
WhenOwnerDies = Literal["fail", "take_over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A player's sitting as it was when it was read."""

    id: UUID
    #: Who plays, as the application calls them.
    player: str | None
    #: What the application knows of the sitting, a JSON object.
    context: Mapping[str, Any]
    #: Raised by every change of the context; `set_context` takes the one it decided on.
    context_version: int
    #: Raised by every clear; what names a lower one is refused.
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
    #: Counts the interactions of the session, no gap and no duplicate; not begun anew by a clear.
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
    #: The last progress told, JSON, or None.
    progress: Any
    #: What `finish` was given, JSON, or None.
    result: Any
    error: str | None
    #: An owner that is not heard of for so long is dead.
    dead_after: timedelta
    when_owner_dies: WhenOwnerDies
    heartbeat_at: datetime
    #: When its owner was asked to stop; None: not asked.
    cancel_requested_at: datetime | None
    cancel_reason: str | None
    created_at: datetime
    #: None while it runs.
    ended_at: datetime | None


def make_session(row: Row[Any]) -> Session:
    """Return the record that a row of `sessions` makes."""
    return Session(
        id=UUID(int=row.session_id.int),
        player=row.player,
        context=row.context,
        context_version=row.context_version,
        epoch=row.epoch,
        last_interaction_number=row.last_interaction_number,
        heartbeat_at=row.heartbeat_at,
        closed_at=row.closed_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def make_interaction(row: Row[Any]) -> Interaction:
    """Return the record that a row of `interactions` makes."""
    return Interaction(
        session_id=UUID(int=row.session_id.int),
        number=row.interaction_number,
        request=row.request,
        response=row.response,
        metadata=row.metadata,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def make_task(row: Row[Any]) -> Task:
    """Return the record that a row of `tasks` makes."""
    return Task(
        id=UUID(int=row.task_id.int),
        session_id=UUID(int=row.session_id.int),
        kind=row.kind,
        epoch=row.epoch,
        state=row.state,
        token=row.token,
        payload=row.payload,
        progress=row.progress,
        result=row.result,
        error=row.error,
        dead_after=row.dead_after,
        when_owner_dies=row.when_owner_dies,
        heartbeat_at=row.heartbeat_at,
        cancel_requested_at=row.cancel_requested_at,
        cancel_reason=row.cancel_reason,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )
