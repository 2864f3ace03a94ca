"""What is logged of a unit that was rolled back."""

from __future__ import annotations

from typing import Final

from livingworld.errors import (
    AlreadyInTransaction,
    Closed,
    Conflict,
    DeadlockDetected,
    InvalidInput,
    LivingWorldError,
    NotFound,
    Refused,
    SerializationFailure,
)
from livingworld.observability import events

#: What a caller is told, and has to expect.
_REFUSALS: Final = (InvalidInput, NotFound, Conflict, Refused, Closed, AlreadyInTransaction)


def report(error: BaseException) -> None:
    """Log what nobody could expect; a refusal that the caller is told about is no failure, nor is his own error."""
    if not isinstance(error, LivingWorldError):
        events.emit(events.ROLLED_BACK, error=type(error).__name__)
    elif isinstance(error, SerializationFailure | DeadlockDetected) or not isinstance(error, _REFUSALS):
        events.emit_failure(error)
