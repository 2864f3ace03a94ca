"""Counters: every confirmed addition counts once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain

from livingworld.testing.history.attempts import Attempts, units_at
from livingworld.testing.history.flaws import Anomalies, Anomaly, Flaw
from livingworld.testing.history.operations import Kind, Observed, Operation
from livingworld.testing.history.units import Stored, has_happened, stored_effects


def check_counters(operations: Sequence[Operation], observed: Observed) -> Anomalies:
    """Yield each counter whose sum is not that of its additions of 1, and answers that two callers share."""
    stored = stored_effects(observed)
    for target, added in units_at(operations, Kind.ADD).items():
        calls = list(chain.from_iterable(added.values()))
        yield from _sum(target, calls, stored, observed.counters.get(target, 0))
        yield from _answers(target, calls)


def _sum(target: str, calls: Sequence[Attempts], stored: Stored, total: int) -> Anomalies:
    """Yield what the sum shows; an addition whose unit has left something else has happened too."""
    least = sum(each.confirmed or any(has_happened(call, stored) for call in each.operations) for each in calls)
    most = sum(not each.refused for each in calls)
    if total < least:
        yield Anomaly(Flaw.LOST, target, f"{least} additions have happened, and the sum is {total}")
    if total > most:
        yield Anomaly(Flaw.DOUBLED, target, f"at most {most} additions can have happened, and the sum is {total}")


def _answers(target: str, calls: Iterable[Attempts]) -> Anomalies:
    answered = sorted(((each.results[0], each) for each in calls if each.results), key=lambda pair: pair[0])
    began, last = -math.inf, None
    for result, attempts in answered:
        if result == last:
            yield Anomaly(Flaw.LOST, target, f"two additions were answered with the sum {result}")
        if attempts.latest < began:
            yield Anomaly(Flaw.WRONG_ORDER, target, f"the sum {result} was answered before a lower one was asked for")
        began, last = max(began, attempts.earliest), result
