"""What an embedder can do wrong: errors of livingworld/errors.py's tree; that file is full.

Whatever EmbeddingPipeline.embed raises also says, by their places in the call, which texts have vectors (`embedded`)
and which do not (`missing`); what other batches brought is stored.
"""

from __future__ import annotations

from livingworld.errors import LivingWorldError, Timeout, Unavailable


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


class EmbedderTimeout(Timeout):
    """The embedding endpoint did not answer within its time limit."""


class EmbedderUnavailable(Unavailable):
    """The embedding endpoint cannot be reached, refuses, or answers with something else."""

    #: HTTP status of the answer, or None when there was none.
    status: int | None


class CircuitOpen(Unavailable):
    """The backend failed too often and is left alone for a while."""


class MissingPackage(LivingWorldError):
    """A package that this adapter needs is not installed."""
