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
    #: Why it was run, as its first owner said, or None.
    reason: str | None
    #: What each phase that is done returned, in the order of the phases.
    results: Mapping[str, Any]
    #: How long each phase that is done took, by its owner's clock.
    durations: Mapping[str, timedelta]
    #: How many owners it had.
    attempts: int
    #: Why it failed, or None.
    error: str | None
    started_at: datetime
    finished_at: datetime | None

    @property
    def phase(self) -> str | None:
        """The phase at which an unfinished run stands; None: it is over."""
        return self.phases[self.phases_done] if self.state == "running" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleStatus:
    """A cycle at one moment."""

    cycle: str
    #: Whether an owner works on it now, by the database's clock. An unfinished run may have none: its owner died.
    running: bool
    #: The last run, over or not; None: it never ran.
    run: CycleRun | None
    #: Whether the run that goes on now is to stop before its next phase.
    stop_requested: bool

    @property
    def phase(self) -> str | None:
        """The phase that works now; None: the cycle does not run."""
        return self.run.phase if self.running and self.run is not None else None
