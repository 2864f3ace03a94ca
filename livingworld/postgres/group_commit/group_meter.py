"""What is counted of the group commits of one kind, over all worlds of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from livingworld.errors import LivingWorldError
from livingworld.observability import instruments
from livingworld.observability.calls import CallMeasure, current_call
from livingworld.observability.metrics import Metrics
from livingworld.postgres.group_commit.requests import Waiter
from livingworld.postgres.group_commit.story_queues import StoryQueues


class GroupMeter:
    """Counts groups, their requests and the time that these waited."""

    def __init__(self, metrics: Metrics, kind: str) -> None:
        self._metrics = metrics
        self._sizes = metrics.histogram(instruments.GROUP_SIZE, kind)
        self._queue_times = metrics.histogram(instruments.GROUP_QUEUE_TIME, kind)
        self._parts = metrics.counter(instruments.GROUP_PARTS, kind)
        self._kind = kind

    def add(self, queues: StoryQueues[Any, Any]) -> None:
        """Count what waits in the queues of a further world, as long as they are used."""
        self._metrics.observe_each(instruments.GROUP_WAITING, queues, lambda each: each.requests, self._kind)

    def sending(self, group: Sequence[Waiter[Any, Any]]) -> CallMeasure | None:
        """Count what is sent now, and return what measures its statement; None when nobody follows a call in it."""
        self._sizes.record(len(group))
        self._parts.value += group[0].tried
        followed, now, queue_times = False, asyncio.get_running_loop().time(), []
        for waiter in group:
            if waiter.call is not None:
                followed = True
            if not waiter.tried:
                waiter.tried = True
                queue_times.append(now - waiter.asked)
        self._queue_times.record_each(queue_times)
        # What sends serves every caller of the group, and not the one that it was started by.
        measure = CallMeasure() if followed else None
        current_call.set(measure)
        return measure

    def refused(self, error: LivingWorldError) -> None:
        """Count a request that was answered by a refusal, while others of its group were carried out."""
        self._metrics.add(instruments.CONFLICTS, 1, type(error).__name__)


def share(measure: CallMeasure | None, group: Sequence[Waiter[Any, Any]], sent_at: float) -> None:
    """Give what the statement met to each call that somebody follows; `sent_at` is a moment of the loop's clock."""
    if measure is None:
        return
    for waiter in group:
        if waiter.call is not None:
            waiter.call.share(measure, len(group), sent_at - waiter.asked)
