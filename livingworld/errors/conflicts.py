"""Another writer was first or is at work: nothing was written, and a new attempt can succeed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from livingworld.errors.base import LivingWorldError


class Conflict(LivingWorldError):
    """Another writer was first or is at work; nothing was written. Read again and decide again."""


class StaleHead(Conflict):
    """The branch has moved on from the expected head."""

    #: Scene number the caller named; 0 means "before the first scene".
    expected: int
    #: Scene number where the branch stands.
    actual: int


class VersionConflict(Conflict):
    """The record was changed since the expected version."""

    #: Version the caller named.
    expected: int
    #: Version that is stored.
    actual: int


class BranchChanged(Conflict):
    """The story's current branch is not the expected one."""

    #: Number the caller named.
    expected: int
    #: Number of the current branch.
    actual: int


class SessionCleared(Conflict):
    """The session was cleared since the expected epoch."""

    #: Epoch the caller named.
    expected: int
    #: Epoch of the session.
    actual: int


class ActiveModelChanged(Conflict):
    """Another AI model of the role became active since the expected activation."""

    #: Activation the caller named; 0 means "before the first".
    expected: int
    #: Number of the last activation.
    actual: int


class AlreadyConsolidated(Conflict):
    """The memory is part of a summary already."""


class Busy(Conflict):
    """Another turn runs on the branch, or waits for it."""

    #: Request key of the running turn, or of the first waiting one.
    request_key: str
    #: Who plays it, when its `take` said so.
    player: str | None
    #: How long it has run, by the database's clock; None when it waits.
    running_for: timedelta | None
    #: When its lease ends by the database's clock, unless its holder renews or ends it; None when it waits.
    held_until: datetime | None


class AlreadyRunning(Conflict):
    """It runs already, and only one may run at a time."""

    #: What runs, as a record.
    task: Any

    def __init__(self, message: str | None = None, /, *, task: Any = None, **details: object) -> None:  # noqa: ANN401
        super().__init__(message, **details)
        self.task = task


class LeaseHeld(Conflict):
    """Another owner holds the lease."""


class QueueFull(Conflict):
    """The lane has its maximum of waiting actions and takes no more."""

    #: The lane's name.
    lane: str


class LimitReached(Conflict):
    """A limit of the library is reached until others have gone; nothing was written."""

    #: What there is too much of: a constant of docs/reference/limits.md.
    what: str
    #: The limit.
    limit: int


class Fenced(Conflict):
    """The turn or lease was taken over, replaced or ended; this write came too late, and nothing was written."""


class TaskSuperseded(Fenced):
    """The task was ended or taken over; this write of its former owner came too late, and nothing was written."""


class ActionSuperseded(Fenced):
    """The claim on the action is over; this write came too late, and nothing was written."""


class SerializationFailure(Conflict):
    """PostgreSQL rolled the transaction back in favour of another one."""


class DeadlockDetected(Conflict):
    """This transaction and another one waited for each other; PostgreSQL rolled this one back."""

    #: Name of the statement that was rolled back, and of where it stood.
    statement: str | None = None
    #: Names of the others' statements; "process 123" where only that is known.
    others: tuple[str, ...] = ()
