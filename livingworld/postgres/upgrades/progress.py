"""How far an upgrade is: what is told to whoever waits for it, and when a step has been in somebody's way too long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from livingworld.errors import MigrationBlocked
from livingworld.observability import events

#: What takes longer is told while it goes on, so often.
_TOLD_EVERY: Final = timedelta(seconds=5)


def _tell_nobody(_line: str) -> None:
    """Drop a line."""


@dataclass(slots=True)
class Progress:
    """One upgrade's: the step that it is at, and since when that step finds what it needs held by others."""

    #: Longest time that a step is tried.
    limit: timedelta
    tell: Callable[[str], None] = _tell_nobody
    #: What is tried, and the tables that it locks.
    step: str = "the revision"
    tables: tuple[str, ...] = ()
    tries: int = 0
    _held_since: float | None = None
    _told: float = field(default_factory=time.monotonic)

    @contextmanager
    def at(self, title: str, tables: tuple[str, ...]) -> Iterator[None]:
        """Count the tries of a step, which may be performed several times until it succeeds."""
        if title != self.step:
            self.step, self.tables, self.tries, self._held_since = title, tables, 0, None
        self._told = began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        events.emit(events.MIGRATION_STEP_DONE, step=title, seconds=round(seconds, 3))
        if seconds > _TOLD_EVERY.total_seconds():
            self.tell(f"{title}: done in {seconds:.0f} s")
        self.tries, self._held_since = 0, None

    def filled(self, passed: int, expected: int, filled: int) -> None:
        """Note a batch of a back-fill; its rows are not held any longer."""
        self._held_since = None
        events.emit(events.MIGRATION_BATCH_DONE, step=self.step, rows=passed, expected=expected, filled=filled)
        if time.monotonic() - self._told > _TOLD_EVERY.total_seconds():
            self._told = time.monotonic()
            self.tell(f"{self.step}: {passed:,} of some {max(expected, passed):,} rows")

    def held(self, *sessions: int) -> None:
        """Note that what the step needs is held; raises MigrationBlocked when that has lasted for the limit."""
        now = time.monotonic()
        self._held_since = self._held_since or now
        if now - self._held_since > self.limit.total_seconds():
            raise MigrationBlocked(step=self.step, sessions=sessions)

    def blocked(self, error: str, sessions: tuple[int, ...]) -> None:
        """Note that a try gave up; raises MigrationBlocked, with the sessions in the way, after the limit."""
        self.tries += 1
        events.emit(events.MIGRATION_BLOCKED, step=self.step, error=error, tries=self.tries, sessions=list(sessions))
        self.held(*sessions)
        who = f"; in the way: {', '.join(map(str, sessions))}" if sessions else ""
        self.tell(f"{self.step}: gave up try {self.tries} and lets others go first{who}")
