"""Counters: every confirmed addition counts once."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from livingworld.testing.history.flaws import Anomalies, Anomaly, Flaw
from livingworld.testing.history.operations import Kind, Observed, Operation, Outcome, effects_of


def check_counters(operations: Sequence[Operation], observed: Observed) -> Anomalies:
    """Yield each counter whose sum is not that of its additions of 1, and answers that two callers share."""
    added: defaultdict[str, list[tuple[Operation, int | None]]] = defaultdict(list)
    for operation, effect, result in effects_of(operations, Kind.ADD):
        added[effect.target].append((operation, result))
    for target, calls in added.items():
        yield from _sum(target, Counter(each.outcome for each, _ in calls), observed.counters.get(target, 0))
        yield from _answers(target, [call for call in calls if call[0].outcome is Outcome.OK])


def _sum(target: str, outcomes: Counter[Outcome], stored: int) -> Anomalies:
    least, most = outcomes[Outcome.OK], outcomes[Outcome.OK] + outcomes[Outcome.UNKNOWN]
    if stored < least:
        yield Anomaly(Flaw.LOST, target, f"{least} additions were confirmed, and the sum is {stored}")
    if stored > most:
        yield Anomaly(Flaw.DOUBLED, target, f"at most {most} additions can have happened, and the sum is {stored}")


def _answers(target: str, calls: Iterable[tuple[Operation, int | None]]) -> Anomalies:
    answered = sorted(((result, each) for each, result in calls if result is not None), key=lambda pair: pair[0])
    began, last = -math.inf, None
    for result, operation in answered:
        if result == last:
            yield Anomaly(Flaw.LOST, target, f"two additions were answered with the sum {result}")
        if operation.ended < began:
            yield Anomaly(Flaw.WRONG_ORDER, target, f"the sum {result} was answered before a lower one was asked for")
        began, last = max(began, operation.started), result
