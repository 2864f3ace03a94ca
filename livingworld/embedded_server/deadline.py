"""A deadline that several waits share."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

#: Between two checks of a state that only another process can change.
POLL_SECONDS: Final = 0.02


class Deadline:
    """A deadline, counted from its creation by a clock that is never set back."""

    def __init__(self, time_limit: timedelta) -> None:
        self.time_limit = time_limit
        self._end = time.monotonic() + time_limit.total_seconds()

    @property
    def remaining(self) -> timedelta:
        """The time that is left, never less than a second: a step at the last moment gets a chance."""
        return timedelta(seconds=max(1.0, self._end - time.monotonic()))

    def pause(self) -> bool:
        """Wait a moment and return True, or return False at once when the time is over."""
        if time.monotonic() >= self._end:
            return False
        time.sleep(POLL_SECONDS)
        return True
