"""What comes out of actions, and what is given to a lane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

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
    """A command as it was when it was read; the record that a claim returns is what lets a worker write."""

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
    #: The actions that it replaced, was merged into, or was refused for.
    decided_by: tuple[UUID, ...]
    attempts: int
    max_attempts: int
    #: Raised by every claim.
    token: int
    #: The claim ends then, unless it is extended; None: not running.
    claimed_until: datetime | None
    #: When its worker was asked to stop; None: not asked.
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
