"""Units: all effects of one operation happen, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from livingworld.testing.history.flaws import Anomalies, Anomaly, Flaw
from livingworld.testing.history.operations import Effect, Kind, Observed, Operation, Value

#: Effects that leave something which can be found again.
_LASTING: Final = frozenset({Kind.APPEND, Kind.WRITE, Kind.ENQUEUE, Kind.END})
Stored: TypeAlias = Mapping[tuple[Kind, str], set[Value | None]]


def check_units(operations: Sequence[Operation], observed: Observed) -> Anomalies:
    """Yield the operations of which one lasting effect is there and another one is not."""
    stored = stored_effects(observed)
    for operation in operations:
        lasting, missing = _lasting(operation, stored)
        if missing and len(missing) < len(lasting):
            there = next(effect for effect in lasting if effect not in missing)
            what = f"{operation.name} of {there.value!r} in {there.target} is there without {missing[0].value!r}"
            yield Anomaly(Flaw.PARTIAL, missing[0].target, what)


def has_happened(operation: Operation, stored: Stored) -> bool:
    """Return whether a lasting effect of an operation is there, whatever its caller knows."""
    lasting, missing = _lasting(operation, stored)
    return len(missing) < len(lasting)


def _lasting(operation: Operation, stored: Stored) -> tuple[list[Effect], list[Effect]]:
    """Return the effects of an operation that can be found again, and those of them that are not there."""
    lasting = [effect for effect in operation.effects if effect.kind in _LASTING]
    return lasting, [each for each in lasting if each.value not in stored.get((each.kind, each.target), ())]


def stored_effects(observed: Observed) -> Stored:
    """Return the values that are there, by kind and target."""
    parts: dict[tuple[Kind, str], set[Value | None]] = {}
    for target, values in observed.lists.items():
        parts[Kind.APPEND, target] = {*values}
    for target, versions in observed.documents.items():
        parts[Kind.WRITE, target] = {*versions}
    for target in observed.ended.keys() | observed.waiting.keys():
        ended = observed.ended.get(target, ())
        parts[Kind.END, target] = {*ended}
        parts[Kind.ENQUEUE, target] = {*ended, *observed.waiting.get(target, ())}
    return parts
