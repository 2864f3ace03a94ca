"""What comes out of cycles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRun:
    """One run of a cycle."""

    cycle: str
    #: From 1, without a gap.
    number: int
    #: running also when its owner has died: the next one goes on with it.
    state: Literal["running", "done", "stopped", "failed"]
    phases: tuple[str, ...]
    #: How many of the phases are done.
    phases_done: int
    #: What each phase that is done returned.
    results: Mapping[str, Any]
    #: How long each phase that is done took, by its owner's clock.
    durations: Mapping[str, timedelta]
    #: How many owners it had.
    attempts: int
    #: Why it failed, or None.
    error: str | None
    started_at: datetime
    finished_at: datetime | None


def make_run(row: Row[Any]) -> CycleRun:
    """Return the record that a row of the table cycle_runs makes."""
    return CycleRun(
        cycle=row.name,
        number=row.run_number,
        state=row.state,
        phases=tuple(row.phases),
        phases_done=row.phases_done,
        results={phase: each["result"] for phase, each in row.results.items()},
        durations={phase: timedelta(seconds=each["seconds"]) for phase, each in row.results.items()},
        attempts=row.attempts,
        error=row.error,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
