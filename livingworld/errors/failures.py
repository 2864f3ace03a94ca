"""Wrong use, and everything else."""

from __future__ import annotations

from typing import Any

from livingworld.errors.base import LivingWorldError


class TransactionPoisoned(LivingWorldError):
    """A statement of this transaction failed and the error was swallowed; everything was rolled back."""


class Closed(LivingWorldError):
    """This LivingWorld was closed; open another one."""


class WrongEventLoop(LivingWorldError):
    """A LivingWorld belongs to the event loop that opened it; open another one in this loop."""


class AlreadyInTransaction(LivingWorldError):
    """A transaction is open here, and a second connection is asked for: call `tx.x` inside the block, not `world.x`."""


class UnsafeIsolation(LivingWorldError):
    """The transaction to join is not READ COMMITTED: what it reads after a lock would be older than the lock."""


class SchemaNotReady(LivingWorldError):
    """The database lacks livingworld's tables or this release's; run `livingworld db upgrade`."""

    #: Its name, host and port.
    database: str


class MissingPrivilege(LivingWorldError):
    """The database role lacks a right that livingworld needs; docs/guides/deployment.md lists them."""


class ServerExhausted(LivingWorldError):
    """The server has run out of memory, of temporary space or of another resource; everything was rolled back."""


class DiskFull(ServerExhausted):
    """The server's disk is full; everything was rolled back. Reading works on; make room before writing again."""


class DataCorrupted(LivingWorldError):
    """The server has found damaged data or a damaged index; stop writing, and check the disk and the backups."""


class PoolerUndeclared(LivingWorldError):
    """There is a pooler in front of the database; set `behind_pooler` (`LIVINGWORLD_BEHIND_POOLER=true`)."""


class DataWouldBeLost(LivingWorldError):
    """The downgrade would destroy what is stored; nothing was changed."""

    #: How many rows of a table would be lost, or values of a column of one that stays (`scenes.content`).
    lost: dict[str, int]
    #: The revisions that would be taken back, newest first.
    revisions: tuple[str, ...]


class SchemaTooNew(LivingWorldError):
    """The embedded server's tables were made by a newer release of livingworld; install that one or a newer one."""

    #: Where the tables stand.
    revision: str
    #: The newest revision that this release has.
    newest_known: str


class DatabaseFailure(LivingWorldError):
    """PostgreSQL refused a statement for a reason livingworld has no name for."""

    #: Five characters of PostgreSQL's appendix A, or None when the driver refused.
    sqlstate: str | None
    #: Name of the constraint that was violated, or None.
    constraint: str | None


class SceneNumberConflict(DatabaseFailure):
    """A scene with this number exists already: somebody writes past the story's counter."""

    sqlstate = "23505"
    constraint = "pk_scenes"


class MissingPackage(LivingWorldError):
    """A package that this adapter needs is not installed."""


class EmbeddingFailed(LivingWorldError):
    """The embedder failed."""

    embedded: tuple[int, ...]
    missing: tuple[int, ...]


class BatchSizeMismatch(EmbeddingFailed):
    """The embedder returned more or fewer vectors than it was given texts; nothing of that batch is stored."""

    #: Number of the batch in its call, from 1.
    batch: int
    #: Texts that were sent.
    expected: int
    #: Vectors that came back.
    actual: int


class OutOfMemory(EmbeddingFailed):
    """The embedder has not enough memory for so many texts at once; adapters raise it as Python does MemoryError."""


class ModelLoadFailed(LivingWorldError):
    """The application's loader did not bring the AI model, or not in time; what was in service stays."""


class ModelProbeFailed(ModelLoadFailed):
    """The AI model was loaded and did not answer the application's probe as it should; it was closed again."""


class ModelClosed(LivingWorldError):
    """The AI model was replaced and had to close, since its last user did not come to an end in time."""


class SamplesNotStored(LivingWorldError):
    """Samples that were taken are not known to be stored."""

    #: How many were taken, how many of them the database refused, and how many it was never reached for.
    taken: int
    refused: int
    left: int
    #: Those that it was never reached for, as NewSample with their ids: they can be sent again without harm.
    samples: tuple[Any, ...]

    def __init__(self, message: str | None = None, /, *, samples: tuple[Any, ...] = (), **details: object) -> None:
        super().__init__(message, **details)
        self.samples = samples
