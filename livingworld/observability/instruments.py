"""Every instrument of livingworld, in one list: what is counted or measured, in which unit, by which attributes.

Names and units follow OpenTelemetry's conventions: `db.client.*` and `gen_ai.*` where they exist. An attribute is a
kind, a state or the class of an error: never an id, a name or a text of a story, so the number of series stays small.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final


class Kind(Enum):
    """What an instrument does with what it is given."""

    #: Adds up; never falls.
    COUNTER = "counter"
    #: Is read at the moment of a snapshot.
    GAUGE = "gauge"
    #: Keeps the distribution of values.
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, eq=False)
class Instrument:
    """Something that is counted or measured; its series differ in the values of its attributes."""

    kind: Kind
    name: str
    unit: str
    attributes: tuple[str, ...]
    meaning: str


def declare(kind: Kind, name: str, unit: str, attributes: str, meaning: str) -> Instrument:
    """Return an instrument whose attributes are given as words."""
    return Instrument(kind, name, unit, tuple(attributes.split()), meaning)


_counter = partial(declare, Kind.COUNTER)
_gauge = partial(declare, Kind.GAUGE)
_histogram = partial(declare, Kind.HISTOGRAM)

UNITS: Final = _counter(
    "livingworld.units",
    "{unit}",
    "outcome error.type",
    "Units of work that ended: committed, refused (an answer that a caller has to expect) or failed.",
)
RETRIES: Final = _counter(
    "livingworld.unit.retries",
    "{retry}",
    "kind error.type",
    "Further tries of a unit: after a conflict, an outage, or a lock that another session held.",
)

#: All of them, for documentation, for export and for tests.
ALL: Final = tuple(value for value in list(vars().values()) if isinstance(value, Instrument))
