"""Records the events that livingworld logs, and checks each one against its declaration."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from livingworld.observability import events

_DECLARED: Final = {event.name: event for event in events.ALL}


@dataclass(frozen=True, slots=True)
class RecordedEvents:
    """The events that were logged during a recording, each as declared."""

    entries: list[tuple[events.Event, Mapping[str, Any]]] = field(default_factory=list)

    def record(self, _logger: object, level: str, entry: MutableMapping[str, Any]) -> Mapping[str, Any]:
        """Record an entry, as structlog's last processor; raises AssertionError unless it is as declared."""
        fields = dict(entry)
        event = _DECLARED[fields.pop("event")]
        if level != logging.getLevelName(event.level).lower() or not fields.keys() <= event.fields:
            message = f"{event.name} was logged at {level} with {sorted(fields)}"
            raise AssertionError(message)
        self.entries.append((event, fields))
        raise structlog.DropEvent

    def of(self, event: events.Event) -> list[Mapping[str, Any]]:
        """Return the fields of each event of this kind, oldest first."""
        return [fields for recorded, fields in self.entries if recorded is event]


@contextmanager
def recorded_events() -> Iterator[RecordedEvents]:
    """Record the events that livingworld logs while the block runs; structlog is then configured as before."""
    before = structlog.get_config() if structlog.is_configured() else None
    recorded = RecordedEvents()
    structlog.configure(processors=[recorded.record])
    try:
        yield recorded
    finally:
        structlog.reset_defaults()
        if before is not None:
            structlog.configure(**before)
