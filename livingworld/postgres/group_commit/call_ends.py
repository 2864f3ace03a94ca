"""Ending calls at their deadlines: one timer for all of them, since setting a timer costs as much as a small call."""

from __future__ import annotations

import asyncio
from typing import Any

from livingworld.postgres.group_commit.requests import Waiter


class CallEnds:
    """The calls that have no answer yet, and the timer of the earliest end."""

    def __init__(self) -> None:
        self._waiters: set[Waiter[Any, Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, waiter: Waiter[Any, Any]) -> None:
        """End a call at its deadline, unless it is discarded before."""
        self._waiters.add(waiter)
        if self._timer is None or waiter.end < self._timer.when():
            self._set(waiter.end)

    def discard(self, waiter: Waiter[Any, Any]) -> None:
        """Leave a call alone; the timer stays, since the next call would need it again."""
        self._waiters.discard(waiter)

    def _set(self, end: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(end, self._end_calls)

    def _end_calls(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for waiter in [waiter for waiter in self._waiters if waiter.end <= now]:
            self._waiters.discard(waiter)
            waiter.time_is_over()
        if self._waiters:
            self._set(min(waiter.end for waiter in self._waiters))
