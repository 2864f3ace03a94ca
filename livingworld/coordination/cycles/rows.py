"""From rows to records."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Row

from livingworld.coordination.cycles.records import CycleRun
from livingworld.read_only import read_only


def make_run(row: Row[Any]) -> CycleRun:
    """Return the record that a row of the table cycle_runs makes."""
    done = [phase for phase in row.phases if phase in row.results]  # jsonb has an order of its own
    return CycleRun(
        cycle=row.name,
        number=row.run_number,
        state=row.state,
        phases=tuple(row.phases),
        phases_done=row.phases_done,
        reason=row.reason,
        results=read_only({phase: row.results[phase]["result"] for phase in done}),
        durations=read_only({phase: timedelta(seconds=row.results[phase]["seconds"]) for phase in done}),
        attempts=row.attempts,
        error=row.error,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
