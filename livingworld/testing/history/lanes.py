"""Lanes: each action is ended once, one at a time, in order of arrival."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from livingworld.testing.history.attempts import Attempts, attempts_at
from livingworld.testing.history.flaws import Anomalies, Anomaly, Flaw
from livingworld.testing.history.lists import check_real_time
from livingworld.testing.history.operations import Kind, Observed, Operation, Outcome, Value, effects_of


def check_lanes(operations: Sequence[Operation], observed: Observed) -> Anomalies:
    """Yield actions of one priority that are gone, ended twice or out of turn, and two that ran at once."""
    queued, ended = attempts_at(operations, Kind.ENQUEUE), attempts_at(operations, Kind.END)
    for target in queued.keys() | observed.ended.keys() | observed.waiting.keys():
        done, asked = observed.ended.get(target, ()), queued.get(target, {})
        yield from _kept(target, Counter(done), Counter(observed.waiting.get(target, ())), asked)
        yield from check_real_time(target, done, asked)
        for value, attempts in ended.get(target, {}).items():
            ends = sum(each.outcome is Outcome.OK for each in attempts.operations)
            if ends > 1:
                yield Anomaly(Flaw.DOUBLED, target, f"the end of {value!r} was confirmed to {ends} workers")
            if ends and value not in done:
                yield Anomaly(Flaw.LOST, target, f"the end of {value!r} was confirmed, and it has not ended")
    yield from _overlaps(operations)


def _kept(
    target: str, done: Counter[Value], waiting: Counter[Value], asked: Mapping[Value | None, Attempts]
) -> Anomalies:
    """Yield the actions that are not there once, as their callers were told."""
    for value, attempts in asked.items():
        if attempts.confirmed and value not in done | waiting:
            yield Anomaly(Flaw.LOST, target, f"{value!r} was queued, and is neither waiting nor ended")
        if attempts.refused and value in done | waiting:
            yield Anomaly(Flaw.PHANTOM, target, f"{value!r} was refused and is there")
    for value, count in (done + waiting).items():
        if count > 1:
            waits = f", and {waiting[value]} times it is waiting" if waiting[value] else ""
            yield Anomaly(Flaw.DOUBLED, target, f"{value!r} was ended {done[value]} times{waits}")
        if value not in asked:
            yield Anomaly(Flaw.PHANTOM, target, f"{value!r} is there, and no call asked for it")


def _overlaps(operations: Sequence[Operation]) -> Anomalies:
    """Yield two runs of a lane at once; a run is certain from the answer to its claim until its end is asked for."""
    claims: dict[tuple[str, str, Value | None], float] = {}
    runs: defaultdict[str, list[tuple[float, float, Value | None]]] = defaultdict(list)
    for operation, effect, _ in effects_of(sorted(operations, key=lambda each: each.ended), Kind.CLAIM, Kind.END):
        if operation.outcome is Outcome.OK:
            place = (operation.client, effect.target, effect.value)
            if effect.kind is Kind.CLAIM:
                claims[place] = operation.ended
            elif place in claims:
                runs[effect.target].append((claims.pop(place), operation.started, effect.value))
    for target, spans in runs.items():
        last: tuple[float, Value | None] = (-math.inf, None)
        for start, end, value in sorted(spans, key=lambda span: span[:2]):
            if start < last[0]:
                yield Anomaly(Flaw.OVERLAP, target, f"{last[1]!r} and {value!r} ran at once")
            last = max(last, (end, value), key=lambda run: run[0])
