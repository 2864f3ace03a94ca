"""A standby that failed is left alone for a while, and then tried by one read before the others."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from livingworld.observability import events
from livingworld.postgres.replicas.unused import StandbyUnused


class Rest:
    """Whether a standby is left alone at this moment."""

    def __init__(self, length: timedelta) -> None:
        self._length = length.total_seconds()
        self._until: float | None = None

    @property
    def is_on(self) -> bool:
        """Whether it is left alone, or was and is not known to be well again."""
        return self._until is not None

    def admits(self) -> bool:
        """Return whether a read may go to the standby; after each rest one may, and the others wait for how it ends."""
        if self._until is None:
            return True
        now = asyncio.get_running_loop().time()
        if now < self._until:
            return False
        self._until = now + self._length
        return True

    def begin(self, unused: StandbyUnused) -> None:
        """Leave it alone from now on."""
        if self._until is None:
            error = None if unused.error is None else type(unused.error).__name__
            events.emit(events.REPLICA_LEFT_ALONE, reason=unused.reason.value, error=error, seconds=self._length)
        self._until = asyncio.get_running_loop().time() + self._length

    def end(self) -> None:
        """Use it again."""
        if self._until is not None:
            self._until = None
            events.emit(events.REPLICA_USED_AGAIN)
