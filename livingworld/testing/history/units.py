"""Units: all effects of one operation happen, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from livingworld.testing.history.flaws import Anomalies, Anomaly, Flaw
from livingworld.testing.history.operations import Effect, Kind, Observed, Operation, Value

#: Effects that leave something which can be found again.
_LASTING: Final = frozenset({Kind.APPEND, Kind.WRITE, Kind.ENQUEUE, Kind.END})


def check_units(operations: Sequence[Operation], observed: Observed) -> Anomalies:
    """Yield the operations of which one lasting effect is there and another one is not."""
    stored = _stored(observed)
    for operation in operations:
        lasting = [effect for effect in operation.effects if effect.kind in _LASTING]
        missing = [effect for effect in lasting if effect.value not in stored.get(_place(effect), ())]
        if missing and len(missing) < len(lasting):
            there = next(effect for effect in lasting if effect not in missing)
            what = f"{operation.name} of {there.value!r} in {there.target} is there without {missing[0].value!r}"
            yield Anomaly(Flaw.PARTIAL, missing[0].target, what)


def _place(effect: Effect) -> tuple[Kind, str]:
    return effect.kind, effect.target


def _stored(observed: Observed) -> Mapping[tuple[Kind, str], set[Value | None]]:
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
