"""What stands in the place of `<!-- generated: ... -->` in a page of the reference."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from site_generator.calls import room_reference, scope_reference
from site_generator.lists import (
    command_reference,
    decision_reference,
    event_reference,
    live_kind_reference,
    lock_order_reference,
    metric_reference,
    setting_reference,
)
from site_generator.records import record_reference
from site_generator.surface import Surface, surface
from site_generator.tables import table_reference

PLACE: Final = re.compile(r"^<!-- generated: (?P<what>[A-Za-z_. ]+) -->$", re.MULTILINE)
_LISTS: Final[Mapping[str, Callable[[], str]]] = {
    "commands": command_reference,
    "decisions": decision_reference,
    "log events": event_reference,
    "live events": live_kind_reference,
    "metrics": metric_reference,
    "lock order": lock_order_reference,
    "records": record_reference,
    "settings": setting_reference,
    "tables": table_reference,
}


def filled(page: str) -> str:
    """Return a page in which each place holds what it names; an unknown name is a KeyError."""
    return PLACE.sub(lambda place: _generated(place["what"]), page)


def rooms_of(page: str) -> list[str]:
    """Return the rooms that a page describes."""
    return [room for place in PLACE.finditer(page) if place["what"] not in _LISTS for room in place["what"].split()]


def _generated(what: str) -> str:
    if what in _LISTS:
        return _LISTS[what]()
    return "\n\n".join(_section(name) for name in what.split())


def _section(name: str) -> str:
    return scope_reference(name) if name in {"LivingWorld", "world", "tx"} else room_reference(_surface(), name)


@cache
def _surface() -> Surface:
    return asyncio.run(surface())
