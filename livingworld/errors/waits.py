"""A wait reached its limit, or the server or the model is away."""

from __future__ import annotations

from typing import Any

from livingworld.errors.base import LivingWorldError


class Timeout(LivingWorldError):
    """A wait reached its limit."""


class LockTimeout(Timeout):
    """Another transaction held the lock for longer than the lock timeout."""


class StatementTimeout(Timeout):
    """A statement ran longer than its time limit and was cancelled."""


class TransactionTimeout(Timeout):
    """The transaction was open or idle for longer than its time limit; the server ended it and rolled it back."""


class PoolTimeout(Timeout):
    """No connection became free within the pool timeout."""


class CallTimeout(Timeout):
    """The deadline of the call passed; it is a read, or a write that was not sent or has a request key to repeat it."""


class Overloaded(Timeout):
    """Too many calls of this process wait for an answer; nothing was written."""

    #: The setting that holds the limit.
    setting: str
    #: The limit.
    limit: int


class TurnTimeout(Timeout):
    """The branch did not become free within the time limit of the turn."""


class MigrationTimeout(Timeout):
    """Another process was still migrating when the time limit for waiting ended."""


class MigrationBlocked(Timeout):
    """Other sessions held what a step of the upgrade needs; the steps before it stay done, and a new run goes on."""

    #: What the step does.
    step: str
    #: The PostgreSQL processes that hold its tables, where that was found out.
    sessions: tuple[int, ...]


class EmbedderTimeout(Timeout):
    """The embedding endpoint did not answer within its time limit."""


class StillRunning(Timeout):
    """Some processes still run the version; no process can begin to run it."""

    #: The executions that run it, as records.
    executions: tuple[Any, ...]

    def __init__(self, message: str | None = None, /, *, executions: tuple[Any, ...] = (), **details: object) -> None:
        super().__init__(message, **details)
        self.executions = executions


class Unavailable(LivingWorldError):
    """The database cannot be reached."""


class ServerReadOnly(Unavailable):
    """The server accepts no writes: it is a standby, or `default_transaction_read_only` is set; nothing was written.

    It was tried again on new connections, `outage_retries` times, since a primary may have moved.
    """


class CommitUnknown(Unavailable):
    """The connection was lost while committing: the work is stored wholly or not at all, and it is unknown which."""


class EmbeddedServerFailed(Unavailable):
    """The embedded PostgreSQL server cannot run here."""


class EmbedderUnavailable(Unavailable):
    """The embedding endpoint cannot be reached, refuses, or gives an answer that is not embeddings."""

    #: HTTP status of the answer, or None when there was none.
    status: int | None


class CircuitOpen(Unavailable):
    """The backend failed too often and is not called for a while."""
