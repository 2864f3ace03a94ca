"""A race was lost; nothing was written. Read again and decide again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from livingworld.errors.base import LivingWorldError


class Conflict(LivingWorldError):
    """Another writer was first; nothing was written."""


class StaleHead(Conflict):
    """The branch has moved on from the head that was named."""

    #: Scene number the caller named; 0 means "before the first scene".
    expected: int
    #: Scene number where the branch stands.
    actual: int


class VersionConflict(Conflict):
    """The record was changed since the version that was named."""

    #: Version the caller named.
    expected: int
    #: Version that is stored.
    actual: int


class RequestKeyReused(Conflict):
    """The request key was used before, with other arguments."""


class NameTaken(Conflict):
    """The name belongs to another character of the world."""

    #: Who has the name.
    character_id: object


class BranchNameTaken(Conflict):
    """Another branch of the story has this name."""


class BranchInUse(Conflict):
    """The branch is the story's current one; switch to another one before deleting it."""


class BranchChanged(Conflict):
    """The story's current branch is another one than the one that was named."""

    #: Number the caller named.
    expected: int
    #: Number of the current branch.
    actual: int


class NothingToUndo(Conflict):
    """The branch has fewer scenes than were to be undone."""


class NothingToRedo(Conflict):
    """Nothing that was undone can be done again: the head has moved since, or not so many scenes were undone."""


class Busy(Conflict):
    """Another turn runs on the branch, or waits for it."""

    #: Request key of the turn that runs, or of the first that waits.
    request_key: str
    #: For how long it has run, by the database's clock; None when it waits.
    running_for: timedelta | None


class Fenced(Conflict):
    """The turn or lease was taken over, replaced or ended; what it brings comes too late, and nothing was written."""


class LeaseHeld(Conflict):
    """Somebody else holds the lease."""


class TaskSuperseded(Fenced):
    """The task was ended or taken over; what its former owner brings comes too late, and nothing was written."""


class TaskEnded(Conflict):
    """The task is over and cannot be cancelled."""

    #: How it ended: finished, failed or cancelled.
    state: str


class AlreadyCancelling(Conflict):
    """Whoever runs it was asked to stop before."""


class TaskCancelled(Conflict):
    """The task was asked to stop."""


class AlreadyRunning(Conflict):
    """It runs already, and only one may run at a time."""

    #: What runs, as a record.
    task: Any

    def __init__(self, message: str | None = None, /, *, task: Any = None, **details: object) -> None:  # noqa: ANN401
        super().__init__(message, **details)
        self.task = task


class ActionSuperseded(Fenced):
    """The claim on the action is over; what it brings comes too late, and nothing was written."""


class ActionExpired(Conflict):
    """The action's deadline is over, by the database's clock; it has no effect any more."""


class ActionEnded(Conflict):
    """The action is over and cannot be cancelled."""

    #: How it ended: done, failed, expired, cancelled, replaced, merged or rejected.
    state: str


class ActionCancelled(Conflict):
    """Whoever runs the action was asked to stop."""


class QueueFull(Conflict):
    """So many actions wait in the lane that it takes no more."""

    #: The lane's name.
    lane: str


class SessionCleared(Conflict):
    """The session was cleared since the epoch that was named."""

    #: Epoch the caller named.
    expected: int
    #: Epoch of the session.
    actual: int


class SessionClosed(Conflict):
    """The session is closed and takes no more writes."""


class GenerationIncomplete(Conflict):
    """The generation was never parsed into a scene, so it cannot become one."""


class NotCountable(Conflict):
    """What is stored there is no number, or the sum does not fit into 64 bits; nothing was written."""


class NotMergeable(Conflict):
    """The document is no JSON object at one of the versions to merge; nothing was written."""

    #: The version that is none.
    version: int


class ActiveModelChanged(Conflict):
    """Another AI model of the role became the active one since the activation that was named."""

    #: Activation the caller named; 0 means "before the first".
    expected: int
    #: Number of the last activation.
    actual: int


class ModelNotValidated(Conflict):
    """The AI model was never loaded and probed with success; load it before it is promoted."""


class ModelNotStaging(Conflict):
    """The AI model was in service before and is retired; roll back to it, or register it anew."""

    #: Its state.
    state: str


class SameCharacter(Conflict):
    """Two names of a relationship belong to one character."""


class AlreadyConsolidated(Conflict):
    """The memory is a part of a summary already."""


class SceneNumberConflict(Conflict):
    """A scene with this number exists already: somebody writes past the story's counter."""


class Archived(Conflict):
    """The story is archived and takes no more writes; restore it first."""


class ScriptActive(Conflict):
    """The version is the active one; activate another one before retiring it."""


class ScriptRetired(Conflict):
    """The version is retired and is not run again."""


class NothingToRollBack(Conflict):
    """No other version was active before, or none that could be again."""


class SerializationFailure(Conflict):
    """PostgreSQL rolled the transaction back in favour of another one."""


class LockOrderViolation(Conflict):
    """A lock was asked for out of the declared order; waiting for it could deadlock."""
