"""Wrong use, defects, and failures of the server or of the application's code."""

from __future__ import annotations

from typing import Any

from livingworld.errors.base import LivingWorldError


class TransactionPoisoned(LivingWorldError):
    """A statement of this transaction failed and the error was swallowed; everything was rolled back."""


class TemplateLimitExceeded(LivingWorldError):
    """The template was stopped while it rendered, since it needs more than a template may."""

    #: Of what: `time`; `size` of one value, as it is or written; `total` of all values; `depth` of values in values.
    limit: str


class Closed(LivingWorldError):
    """This LivingWorld was closed; open another one."""


class WrongEventLoop(LivingWorldError):
    """A LivingWorld belongs to the event loop that opened it; open another one in this loop."""


class WrongThread(LivingWorldError):
    """A blocking call in the thread of its own event loop would wait for itself; call it from another thread."""


class UsedAfterFork(LivingWorldError):
    """The event loop of a blocking LivingWorld is not in the child process of a fork; open another one there."""


class AlreadyInTransaction(LivingWorldError):
    """A transaction is open here, and this call needs another connection: call `tx.x` in the block, not `world.x`."""


class UnsafeIsolation(LivingWorldError):
    """The transaction to join is not READ COMMITTED: its reads after a lock would be older than the lock."""


class SchemaNotReady(LivingWorldError):
    """The database lacks livingworld's tables or this release's; run `livingworld db upgrade`."""

    #: Its name, host and port.
    database: str


class MissingPrivilege(LivingWorldError):
    """The database role lacks a right that livingworld needs; docs/guides/deployment.md lists them."""


class RowSecurityUndeclared(LivingWorldError):
    """The database shows each transaction one world (`livingworld db isolate`): set LIVINGWORLD_ROW_SECURITY=true."""


class ServerExhausted(LivingWorldError):
    """The server has run out of memory, of temporary space or of another resource; everything was rolled back."""


class DiskFull(ServerExhausted):
    """The server's disk is full; everything was rolled back. Reads still work; free space before writing again."""


class DataCorrupted(LivingWorldError):
    """The server found damaged data or a damaged index; stop writing, and check the disk and the backups."""


class PoolerUndeclared(LivingWorldError):
    """A pooler is in front of the database; set `behind_pooler` (`LIVINGWORLD_BEHIND_POOLER=true`)."""


class DataWouldBeLost(LivingWorldError):
    """The downgrade would destroy stored data; nothing was changed."""

    #: How many rows of a table would be lost, or values of a column of one that stays (`scenes.content`).
    lost: dict[str, int]
    #: The revisions that would be taken back, newest first.
    revisions: tuple[str, ...]


class BundleFileFailed(LivingWorldError):
    """The file of the bundle cannot be opened, read or written."""

    #: What the operating system says.
    reason: str


class BundleNotRestored(LivingWorldError):
    """The database has stored other rows than the bundle has; nothing was imported."""

    #: The first table with other rows.
    table: str


class SchemaTooNew(LivingWorldError):
    """The embedded server's tables were made by a newer release of livingworld; install that one or a newer one."""

    #: The revision of the tables.
    revision: str
    #: The newest revision that this release has.
    newest_known: str


class DatabaseFailure(LivingWorldError):
    """PostgreSQL refused a statement for a reason that has no error of its own."""

    #: Five characters of PostgreSQL's appendix A, or None when the driver refused.
    sqlstate: str | None
    #: Name of the constraint that was violated, or None.
    constraint: str | None


class SceneNumberConflict(DatabaseFailure):
    """A scene with this number exists already: another program writes scenes without the story's counter."""

    sqlstate = "23505"
    constraint = "pk_scenes"


class MissingPackage(LivingWorldError):
    """A package that this adapter needs is not installed."""


class EmbeddingFailed(LivingWorldError):
    """The embedder failed."""

    embedded: tuple[int, ...]
    missing: tuple[int, ...]


class BatchSizeMismatch(EmbeddingFailed):
    """The embedder returned more or fewer vectors than it got texts; nothing of that batch is stored."""

    #: Number of the batch in its call, from 1.
    batch: int
    #: Texts that were sent.
    expected: int
    #: Vectors that came back.
    actual: int


class OutOfMemory(EmbeddingFailed):
    """The embedder ran out of memory for this number of texts; adapters raise it, and MemoryError counts as it."""


class ModelLoadFailed(LivingWorldError):
    """The application's loader failed to load the AI model, or not in time; the former model stays in service."""


class ModelProbeFailed(ModelLoadFailed):
    """The AI model was loaded and failed the application's probe; it was closed again."""


class ModelClosed(LivingWorldError):
    """The AI model was replaced, and was closed because its last use did not end in time."""


class SamplesNotStored(LivingWorldError):
    """Some collected samples are not known to be stored."""

    #: How many were collected, how many of them the database refused, and how many were never sent.
    taken: int
    refused: int
    left: int
    #: The samples that were never sent, as NewSample with their ids: sending them again is harmless.
    samples: tuple[Any, ...]

    def __init__(self, message: str | None = None, /, *, samples: tuple[Any, ...] = (), **details: object) -> None:
        super().__init__(message, **details)
        self.samples = samples
