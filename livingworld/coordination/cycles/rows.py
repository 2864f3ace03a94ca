"""From rows to records."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Row

from livingworld.coordination.cycles.records import CycleRun


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
