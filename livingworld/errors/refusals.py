"""The request is impossible in the current state: nothing was written, and the same request is refused again."""

from __future__ import annotations

from livingworld.errors.base import LivingWorldError


class Refused(LivingWorldError):
    """The request is impossible in the current state; nothing was written. Repeating it does not help."""


class RequestKeyReused(Refused):
    """The request key was used before, with other arguments."""


class NameTaken(Refused):
    """The name belongs to another character of the world."""

    #: The character that has the name.
    character_id: object


class SameCharacter(Refused):
    """Two names of one call belong to one character: both ends of a relationship, or the subjects of one fact."""


class BranchNameTaken(Refused):
    """Another branch of the story has this name."""


class BranchInUse(Refused):
    """The branch is the story's current one; switch to another branch before deleting it."""


class NothingToUndo(Refused):
    """The branch has fewer scenes than were to be undone."""


class NothingToRedo(Refused):
    """There is nothing to redo: the head has moved since the undo, or fewer scenes were undone."""


class Archived(Refused):
    """The story is archived and accepts no writes; restore it first."""


class GenerationIncomplete(Refused):
    """The generation was never parsed into a scene, so it cannot become one."""


class NotCountable(Refused):
    """The stored value is not a number, or the sum does not fit into 64 bits; nothing was written."""


class NotMergeable(Refused):
    """The document is not a JSON object at one of the versions to merge; nothing was written."""

    #: The version that is not an object.
    version: int


class SessionClosed(Refused):
    """The session is closed and accepts no writes."""


class TaskEnded(Refused):
    """The task is over and cannot be cancelled."""

    #: How it ended: finished, failed or cancelled.
    state: str


class TaskCancelled(Refused):
    """The task was asked to stop."""


class AlreadyCancelling(Refused):
    """Its owner was asked to stop already."""


class ActionExpired(Refused):
    """The action's deadline has passed, by the database's clock; the action has no effect."""


class ActionEnded(Refused):
    """The action is over and cannot be cancelled."""

    #: How it ended: done, failed, expired, cancelled, replaced, merged or rejected.
    state: str


class ActionCancelled(Refused):
    """The worker of the action was asked to stop."""


class ScriptActive(Refused):
    """The version is the active one; activate another one before retiring it."""


class ScriptRetired(Refused):
    """The version is retired and cannot be run again."""


class NothingToRollBack(Refused):
    """No earlier version can be made active again."""


class ModelNotValidated(Refused):
    """The AI model was never loaded and probed successfully; load it before promoting it."""


class ModelNotStaging(Refused):
    """The AI model is not in staging: it was in service before; roll back to it, or register it again."""

    #: Its state.
    state: str


class LockOrderViolation(Refused):
    """Another transaction holds a lock that comes before one held here; waiting for it could deadlock."""

    #: The lock that was asked for, in words: "a story".
    asked_for: str
    #: The later lock that this transaction holds; the same words for another one of the same kind.
    held: str
    #: The call that belongs before it, as text.
    call_first: str


class WorldExists(Refused):
    """There is a world with this id, key or request key already."""


class StoryExists(Refused):
    """There is a story with this id or key in the world already."""


class BundleDamaged(Refused):
    """A line of the bundle is not as it was written, or is missing; nothing was imported."""

    #: The first such line, counted from 1.
    line: int
    #: The table whose rows stand there; None: at the begin and at the end.
    table: str | None


class BundleOfOtherSchema(Refused):
    """The bundle was written from another revision of the tables than this database has."""
