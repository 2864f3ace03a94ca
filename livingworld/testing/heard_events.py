"""Hear what livingworld logs, and hold it to its own list of events."""

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
class HeardEvents:
    """Every event that was logged while somebody listened, each as declared."""

    entries: list[tuple[events.Event, Mapping[str, Any]]] = field(default_factory=list)

    def hear(self, _logger: object, level: str, entry: MutableMapping[str, Any]) -> Mapping[str, Any]:
        """Note an entry, as structlog's last processor; one that is not declared as it is fails."""
        fields = dict(entry)
        event = _DECLARED[fields.pop("event")]
        if level != logging.getLevelName(event.level).lower() or not fields.keys() <= event.fields:
            message = f"{event.name} was logged at {level} with {sorted(fields)}"
            raise AssertionError(message)
        self.entries.append((event, fields))
        raise structlog.DropEvent

    def of(self, event: events.Event) -> list[Mapping[str, Any]]:
        """Return the fields of each event of this kind, oldest first."""
        return [fields for heard, fields in self.entries if heard is event]


@contextmanager
def hearing_events() -> Iterator[HeardEvents]:
    """Give what livingworld logs while the block runs; structlog is configured for it, and then as it was before."""
    before = structlog.get_config() if structlog.is_configured() else None
    heard = HeardEvents()
    structlog.configure(processors=[heard.hear])
    try:
        yield heard
    finally:
        structlog.reset_defaults()
        if before is not None:
            structlog.configure(**before)
