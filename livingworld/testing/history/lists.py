"""Lists that are appended to: the scenes of a story."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from livingworld.testing.history.attempts import Attempts, attempts_at
from livingworld.testing.history.flaws import Anomalies, Anomaly, Flaw
from livingworld.testing.history.operations import Kind, Observed, Operation, Outcome, Value, effects_of


def check_lists(operations: Sequence[Operation], observed: Observed) -> Anomalies:
    """Yield what is lost, doubled, out of order, stale or a phantom in each list."""
    appended = attempts_at(operations, Kind.APPEND)
    for target in appended.keys() | observed.lists.keys():
        stored, asked = observed.lists.get(target, ()), appended.get(target, {})
        yield from check_values(target, stored, asked)
        yield from _places(target, stored, asked)
        yield from check_real_time(target, stored, asked)
    yield from _reads(operations, observed, appended)


def check_values(target: str, stored: Sequence[Value | None], asked: Mapping[Value | None, Attempts]) -> Anomalies:
    """Yield the values that are not there as often as their answers say."""
    counts = Counter(stored)
    for value, attempts in asked.items():
        if attempts.confirmed and not counts[value]:
            yield Anomaly(Flaw.LOST, target, f"{value!r} was confirmed and is not there")
        if attempts.refused and counts[value]:
            yield Anomaly(Flaw.PHANTOM, target, f"{value!r} was refused and is there")
    for value, count in counts.items():
        if count > 1:
            yield Anomaly(Flaw.DOUBLED, target, f"{value!r} is there {count} times")
        if value not in asked:
            yield Anomaly(Flaw.PHANTOM, target, f"{value!r} is there, and no call asked for it")


def _places(target: str, stored: Sequence[Value | None], asked: Mapping[Value | None, Attempts]) -> Anomalies:
    for value, attempts in asked.items():
        for place in attempts.results:
            if not 1 <= place <= len(stored) or stored[place - 1] != value:
                yield Anomaly(Flaw.WRONG_ORDER, target, f"{value!r} was confirmed at {place} and is not there")


def check_real_time(target: str, stored: Sequence[Value | None], asked: Mapping[Value | None, Attempts]) -> Anomalies:
    """Yield each value that was confirmed before the call for an earlier one began."""
    began, before = -math.inf, None
    for value in stored:
        attempts = asked.get(value)
        if attempts is None:
            continue
        if attempts.latest < began:
            yield Anomaly(Flaw.WRONG_ORDER, target, f"{value!r} ended before {before!r} began, and comes after it")
        if attempts.earliest > began:
            began, before = attempts.earliest, value


def _reads(
    operations: Iterable[Operation], observed: Observed, appended: Mapping[str, Mapping[Value | None, Attempts]]
) -> Anomalies:
    ends = {target: earliest_end_from(stored, appended.get(target, {})) for target, stored in observed.lists.items()}
    for operation, effect, seen in effects_of(operations, Kind.READ, Kind.LAST):
        if operation.outcome is not Outcome.OK:
            continue
        stored = observed.lists.get(effect.target, ())
        length = length_of(effect.kind, seen)
        if not _is_beginning(effect.kind, seen, stored):
            yield Anomaly(Flaw.WRONG_ORDER, effect.target, f"a read of {length} values is no beginning of the list")
        elif ends.get(effect.target, [math.inf])[length] < operation.started:
            missed = stored[length]
            yield Anomaly(Flaw.STALE, effect.target, f"a read ends before {missed!r}, confirmed before it began")


def length_of(kind: Kind, seen: Any) -> int:  # noqa: ANN401 - of each kind of read another one
    """Return how many values a list had, or which version a document, when it was read so."""
    length: int = len(seen) if kind is Kind.READ else seen[0]
    return length


def _is_beginning(kind: Kind, seen: Any, stored: Sequence[Value | None]) -> bool:  # noqa: ANN401 - the same
    if kind is Kind.READ:
        return list(seen) == list(stored[: len(seen)])
    length: int = seen[0]
    last: Value | None = seen[1]
    return length <= len(stored) and last == (stored[length - 1] if length else None)


def earliest_end_from(stored: Sequence[Value | None], asked: Mapping[Value | None, Attempts]) -> list[float]:
    """Return for each place when the first of the values from there on was confirmed, with infinity at the end."""
    ends = [asked[value].latest if value in asked else math.inf for value in stored]
    return list(accumulate([math.inf, *reversed(ends)], min))[::-1]
