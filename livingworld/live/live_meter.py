"""What is counted of the live streams of a process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from livingworld.live.records import LiveEvent
from livingworld.observability import instruments
from livingworld.observability.metrics import Metrics


class LiveMeter:
    """Counts the events that are handed on, and how late they are."""

    def __init__(self, metrics: Metrics) -> None:
        self._events = metrics.counter(instruments.LIVE_EVENTS)
        self._missed = metrics.counter(instruments.LIVE_MISSED)
        self._lag = metrics.histogram(instruments.LIVE_LAG)

    def missed(self) -> None:
        """Count that a subscriber was too slow."""
        self._missed.value += 1

    def handed_on(self, events: Sequence[LiveEvent]) -> None:
        """Count a page that every subscriber of its stream was given."""
        self._events.value += len(events)
        now = datetime.now(UTC)
        for event in events:
            self._lag.record(max((now - event.at).total_seconds(), 0.0))
