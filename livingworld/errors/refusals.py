"""What is asked for cannot be done as things stand: nothing was written, and asking again is refused again."""

from __future__ import annotations

from livingworld.errors.base import LivingWorldError


class Refused(LivingWorldError):
    """What is asked for cannot be done as things stand; nothing was written. Ask for something else."""


class RequestKeyReused(Refused):
    """The request key was used before, with other arguments."""


class NameTaken(Refused):
    """The name belongs to another character of the world."""

    #: Who has the name.
    character_id: object


class SameCharacter(Refused):
    """Two names of a relationship belong to one character."""


class BranchNameTaken(Refused):
    """Another branch of the story has this name."""


class BranchInUse(Refused):
    """The branch is the story's current one; switch to another one before deleting it."""


class NothingToUndo(Refused):
    """The branch has fewer scenes than were to be undone."""


class NothingToRedo(Refused):
    """Nothing that was undone can be done again: the head has moved since, or not so many scenes were undone."""


class Archived(Refused):
    """The story is archived and takes no more writes; restore it first."""


class GenerationIncomplete(Refused):
    """The generation was never parsed into a scene, so it cannot become one."""


class NotCountable(Refused):
    """What is stored there is no number, or the sum does not fit into 64 bits; nothing was written."""


class NotMergeable(Refused):
    """The document is no JSON object at one of the versions to merge; nothing was written."""

    #: The version that is none.
    version: int


class SessionClosed(Refused):
    """The session is closed and takes no more writes."""


class TaskEnded(Refused):
    """The task is over and cannot be cancelled."""

    #: How it ended: finished, failed or cancelled.
    state: str


class TaskCancelled(Refused):
    """The task was asked to stop."""


class AlreadyCancelling(Refused):
    """Whoever runs it was asked to stop before."""


class ActionExpired(Refused):
    """The action's deadline is over, by the database's clock; it has no effect any more."""


class ActionEnded(Refused):
    """The action is over and cannot be cancelled."""

    #: How it ended: done, failed, expired, cancelled, replaced, merged or rejected.
    state: str


class ActionCancelled(Refused):
    """Whoever runs the action was asked to stop."""


class ScriptActive(Refused):
    """The version is the active one; activate another one before retiring it."""


class ScriptRetired(Refused):
    """The version is retired and is not run again."""


class NothingToRollBack(Refused):
    """No other version was active before, or none that could be again."""


class ModelNotValidated(Refused):
    """The AI model was never loaded and probed with success; load it before it is promoted."""


class ModelNotStaging(Refused):
    """The AI model was in service before and is retired; roll back to it, or register it anew."""

    #: Its state.
    state: str


class LockOrderViolation(Refused):
    """Somebody else has a lock that comes before one this transaction holds; waiting for it could deadlock."""

    #: What somebody else has, in words: "a story".
    asked_for: str
    #: What this transaction holds that comes later, or the same where it is another one of the kind.
    held: str
    #: What to call before that, as text.
    call_first: str
