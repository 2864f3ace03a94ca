"""What comes out of actions, and what is given to a lane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row

#: The first two are not over.
ActionState = Literal["waiting", "running", "done", "failed", "expired", "cancelled", "replaced", "merged", "rejected"]
#: What can be decided about a command when it comes.
Decision = Literal["queue", "replace", "merge", "reject"]
#: A time of its own, or so long after the database's present.
When = datetime | timedelta


@dataclass(frozen=True, slots=True)
class NewAction:
    """A command for a lane."""

    lane: str
    #: Which handler is to run it.
    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    #: The greater goes first in the lane and among lanes; equal ones in the order of their arrival.
    priority: int = field(default=0, kw_only=True)
    #: It is not run before; None: at once.
    not_before: When | None = field(default=None, kw_only=True)
    #: It has no effect after; None: never too late.
    deadline: When | None = field(default=None, kw_only=True)
    #: After so many attempts it has failed.
    max_attempts: int = field(default=5, kw_only=True)
    #: Makes it idempotent: the same id again returns what is stored. None: a new one.
    id: UUID | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A command as it was when it was read; who was given it by a claim may write with it."""

    id: UUID
    lane: str
    #: Its place among all that happened in the lane: commands, starts and ends.
    number: int
    kind: str
    payload: Mapping[str, Any]
    priority: int
    not_before: datetime | None
    deadline: datetime | None
    state: ActionState
    #: What was decided about it when it came.
    decision: Decision
    #: Whom it replaced, was merged into, or was refused for.
    decided_by: tuple[UUID, ...]
    attempts: int
    max_attempts: int
    #: Raised by every claim.
    token: int
    #: It is anybody's again then, unless the claim is extended; None: not running.
    claimed_until: datetime | None
    #: When whoever runs it was asked to stop; None: not asked.
    cancel_requested_at: datetime | None
    cancel_reason: str | None
    #: What `complete` was given, JSON, or None.
    result: Any
    #: Of each attempt that failed.
    errors: tuple[str, ...]
    #: The numbers at which it began to run.
    started_numbers: tuple[int, ...]
    #: The numbers at which it ceased to run.
    stopped_numbers: tuple[int, ...]
    #: The number at which it was over; None: it is not.
    ended_number: int | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSize:
    """How much is in a lane, or in all lanes."""

    waiting: int
    running: int


def make_action(row: Row[Any]) -> Action:
    """Return the record that a row of the table actions makes."""
    return Action(
        id=UUID(int=row.action_id.int),
        lane=row.lane,
        number=row.number,
        kind=row.kind,
        payload=row.payload,
        priority=row.priority,
        not_before=row.not_before,
        deadline=row.deadline,
        state=row.state,
        decision=row.decision,
        decided_by=tuple(UUID(int=each.int) for each in row.decided_by),
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        token=row.token,
        claimed_until=row.claimed_until,
        cancel_requested_at=row.cancel_requested_at,
        cancel_reason=row.cancel_reason,
        result=row.result,
        errors=tuple(each["error"] for each in row.errors),
        started_numbers=tuple(row.started_numbers),
        stopped_numbers=tuple(row.stopped_numbers),
        ended_number=row.ended_number,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
