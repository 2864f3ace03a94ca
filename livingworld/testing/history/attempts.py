"""The calls that asked for one effect: one, or several with one request key."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from livingworld.testing.history.operations import Kind, Operation, Outcome, Value, effects_of


@dataclass(slots=True)
class Attempts:
    """Every call for one effect."""

    operations: list[Operation] = field(default_factory=list)
    #: What the confirmed ones were answered.
    results: list[Any] = field(default_factory=list)

    @property
    def confirmed(self) -> bool:
        """Whether a caller was told that the effect has happened."""
        return any(each.outcome is Outcome.OK for each in self.operations)

    @property
    def refused(self) -> bool:
        """Whether every caller was told that the effect has not happened."""
        return all(each.outcome is Outcome.FAILED for each in self.operations)

    @property
    def earliest(self) -> float:
        """The moment before which the effect cannot have happened."""
        return min(each.started for each in self.operations)

    @property
    def latest(self) -> float:
        """The moment before which the effect has happened; infinite unless it was confirmed."""
        return min((each.ended for each in self.operations if each.outcome is Outcome.OK), default=math.inf)


def attempts_at(operations: Iterable[Operation], kind: Kind) -> Mapping[str, Mapping[Value | None, Attempts]]:
    """Return the attempts at each effect of a kind, by target and value."""
    found: defaultdict[str, defaultdict[Value | None, Attempts]] = defaultdict(lambda: defaultdict(Attempts))
    for operation, effect, result in effects_of(operations, kind):
        attempts = found[effect.target][effect.value]
        attempts.operations.append(operation)
        if operation.outcome is Outcome.OK and result is not None:
            attempts.results.append(result)
    return found


def units_at(operations: Iterable[Operation], kind: Kind) -> Mapping[str, Mapping[Value | None, list[Attempts]]]:
    """Return the attempts at effects that may happen several times for one value, by target and value.

    Calls with one request key are attempts at one effect; every other call is one by itself.
    """
    units: dict[tuple[object, ...], Attempts] = {}
    found: defaultdict[str, defaultdict[Value | None, list[Attempts]]] = defaultdict(lambda: defaultdict(list))
    for number, operation in enumerate(operations):
        one: object = number if operation.request_key is None else (operation.name, operation.request_key)
        for place, effect in enumerate(operation.effects):
            if effect.kind is kind:
                unit = (one, place, effect)
                if unit not in units:
                    found[effect.target][effect.value].append(units.setdefault(unit, Attempts()))
                units[unit].operations.append(operation)
                if operation.outcome is Outcome.OK and operation.result(place) is not None:
                    units[unit].results.append(operation.result(place))
    return found
