"""Every error of livingworld, in one tree.

A class's docstring is its default message. Data travels as attributes and stands in the message as numbers and ids:
story text, names and secrets never do.
"""

from __future__ import annotations

import inspect
from datetime import timedelta


class LivingWorldError(Exception):
    """Something in livingworld failed."""

    def __init__(self, message: str | None = None, /, **details: object) -> None:
        told = message or inspect.cleandoc(type(self).__doc__ or "").splitlines()[0]
        if details and message is None:
            told += " " + ", ".join(f"{name}={value}" for name, value in details.items())
        super().__init__(told)
        self.__dict__.update(details)

    def __str__(self) -> str:
        return str(self.args[0])


# Wrong input: raised before any SQL.


class InvalidInput(LivingWorldError, ValueError):
    """An argument cannot be stored."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        #: Name of the argument, with the place inside it: `choices[2]`.
        self.field = field
        #: Why it was refused.
        self.reason = reason
        self.args = (field, reason)

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class InvalidType(InvalidInput, TypeError):
    """An argument has a type that the field does not take."""


class InvalidText(InvalidInput):
    """A text holds what PostgreSQL cannot store, is too long, or is empty where it must not be."""


class InvalidNumber(InvalidInput):
    """A number is not finite or outside the range of its field."""


class InvalidJson(InvalidInput):
    """A value is not JSON, nests too deeply or is too large."""


class InvalidName(InvalidInput):
    """A name has nothing visible in it, or its canonical form is too long."""


class InvalidCursor(InvalidInput):
    """A page's cursor did not come from a page of this list."""


class InvalidSettings(InvalidInput):
    """A setting has a value that cannot work."""


# Nothing there.


class NotFound(LivingWorldError):
    """What was named does not exist in this world."""


class WorldNotFound(NotFound):
    """There is no such world."""


class StoryNotFound(NotFound):
    """There is no such story in this world."""


class BranchNotFound(NotFound):
    """The story has no such branch."""


class SceneNotFound(NotFound):
    """The story has no such scene."""


class ChoiceNotFound(NotFound):
    """The scene before does not offer the choice that was taken."""


class SceneNotOnPath(NotFound):
    """The branch does not lead through this scene."""


class CharacterNotFound(NotFound):
    """There is no such character in this world."""


class DocumentNotFound(NotFound):
    """There is no such document in this world, or it has no such version."""


class GenerationNotFound(NotFound):
    """There is no such generation in this world."""


# A race was lost; nothing was written. Read again and decide again.


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
    """The turn was taken over, replaced or ended; what it brings comes too late, and nothing was written."""


class GenerationIncomplete(Conflict):
    """The generation was never parsed into a scene, so it cannot become one."""


class NotCountable(Conflict):
    """What is stored there is no number, or the sum does not fit into 64 bits; nothing was written."""


class NotMergeable(Conflict):
    """The document is no JSON object at one of the versions to merge; nothing was written."""

    #: The version that is none.
    version: int


class SceneNumberConflict(Conflict):
    """A scene with this number exists already: somebody writes past the story's counter."""


class Archived(Conflict):
    """The story is archived and takes no more writes; restore it first."""


class SerializationFailure(Conflict):
    """PostgreSQL rolled the transaction back in favour of another one."""


class LockOrderViolation(Conflict):
    """A lock was asked for out of the declared order; waiting for it could deadlock."""


# Waited too long.


class Timeout(LivingWorldError):
    """A wait reached its limit."""


class LockTimeout(Timeout):
    """Another transaction held the lock for longer than the lock timeout."""


class StatementTimeout(Timeout):
    """A statement ran longer than its time limit and was cancelled."""


class PoolTimeout(Timeout):
    """No connection became free within the pool timeout."""


class TurnTimeout(Timeout):
    """The branch did not become free within the time limit of the turn."""


class MigrationTimeout(Timeout):
    """Another process was still migrating when the time limit for waiting ended."""


# The server is away.


class Unavailable(LivingWorldError):
    """The database cannot be reached."""


class CommitUnknown(Unavailable):
    """The connection was lost while committing: the work is stored wholly or not at all, and nobody can tell which."""


class EmbeddedServerFailed(Unavailable):
    """The embedded PostgreSQL server cannot run here."""


# Wrong use, and everything else.


class TransactionPoisoned(LivingWorldError):
    """A statement of this transaction failed and the error was swallowed; everything was rolled back."""


class Closed(LivingWorldError):
    """This LivingWorld was closed; open another one."""


class UnsafeIsolation(LivingWorldError):
    """The transaction to join is not READ COMMITTED: what it reads after a lock would be older than the lock."""


class SchemaNotReady(LivingWorldError):
    """The database lacks livingworld's tables or this release's; run `livingworld db upgrade`."""


class DatabaseFailure(LivingWorldError):
    """PostgreSQL refused a statement for a reason livingworld has no name for."""

    #: Five characters of PostgreSQL's appendix A, or None when the driver refused.
    sqlstate: str | None
    #: Name of the constraint that was violated, or None.
    constraint: str | None
