"""What a backend did, counted in windows that add up.

A set of counts is one immutable object that replaces the one before: a reader gets numbers of one moment, and a
window is taken and the next one begun without an await between them, so nothing is counted twice or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class Outcome(Enum):
    """How a call ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    #: Cancelled, or given back to be tried with less: says nothing about the backend.
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The calls of one window; in each one `carried + started == finished + in_flight`."""

    #: Calls under way when the window began.
    carried: int = 0
    started: int = 0
    succeeded: int = 0
    failed: int = 0
    abandoned: int = 0
    #: Calls under way now.
    in_flight: int = 0
    #: Texts of the calls that succeeded, and the seconds they took.
    texts: int = 0
    seconds: float = 0.0

    @property
    def finished(self) -> int:
        """Calls that ended."""
        return self.succeeded + self.failed + self.abandoned

    @property
    def success_rate(self) -> float | None:
        """Share of the calls that succeeded among those that were decided; None before the first."""
        decided = self.succeeded + self.failed
        return self.succeeded / decided if decided else None

    @property
    def seconds_per_text(self) -> float | None:
        """What a text cost; None before the first success."""
        return self.seconds / self.texts if self.texts else None


class Metrics:
    """Counts the calls of one backend."""

    def __init__(self) -> None:
        self._counts = Counts()

    def begin(self) -> None:
        """Count a call that starts."""
        counts = self._counts
        self._counts = replace(counts, started=counts.started + 1, in_flight=counts.in_flight + 1)

    def end(self, outcome: Outcome, *, texts: int, seconds: float) -> None:
        """Count how a call ended that was begun."""
        counts = self._counts
        succeeded = outcome is Outcome.SUCCEEDED
        self._counts = replace(
            counts,
            in_flight=counts.in_flight - 1,
            succeeded=counts.succeeded + succeeded,
            failed=counts.failed + (outcome is Outcome.FAILED),
            abandoned=counts.abandoned + (outcome is Outcome.ABANDONED),
            texts=counts.texts + texts * succeeded,
            seconds=counts.seconds + seconds * succeeded,
        )

    def snapshot(self) -> Counts:
        """Return the window as it is now."""
        return self._counts

    def take(self) -> Counts:
        """Return the window and begin the next one, which carries what is under way."""
        taken = self._counts
        self._counts = Counts(carried=taken.in_flight, in_flight=taken.in_flight)
        return taken
