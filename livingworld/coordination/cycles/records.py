"""What comes out of cycles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRun:
    """One run of a cycle."""

    cycle: str
    #: From 1, without a gap.
    number: int
    #: running also when its owner has died: the next run continues it.
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
