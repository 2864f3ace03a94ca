"""What went wrong, as an error of ours that can be told to several callers."""

from __future__ import annotations

from livingworld.errors import BatchSizeMismatch, EmbeddingFailed, LivingWorldError, OutOfMemory


def named_failure(error: BaseException, *, batch: int | None = None) -> LivingWorldError:
    """Return the livingworld error that an embedder's exception means; the exception itself is its cause."""
    if isinstance(error, BatchSizeMismatch) and batch is not None:  # an adapter does not know the number
        return BatchSizeMismatch(batch=batch, expected=error.expected, actual=error.actual)
    if isinstance(error, LivingWorldError):
        return error
    named: LivingWorldError = (
        OutOfMemory() if isinstance(error, MemoryError) else EmbeddingFailed(error=type(error).__name__)
    )
    named.__cause__ = error
    return named
