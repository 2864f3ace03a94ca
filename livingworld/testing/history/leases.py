"""Leases: what is written under a token is never followed by what is written under a lower one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from livingworld.testing.history.attempts import Attempts, units_at
from livingworld.testing.history.flaws import Anomalies, Anomaly, Flaw
from livingworld.testing.history.operations import Kind, Observed, Operation, Outcome, Value, effects_of


def check_leases(operations: Sequence[Operation], observed: Observed) -> Anomalies:
    """Yield tokens that two owners have, and writes of an owner that was overtaken."""
    yield from _tokens(operations)
    yield from _stored(operations, observed)
    yield from _overtaken(operations)


def _tokens(operations: Sequence[Operation]) -> Anomalies:
    owners: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for operation, effect, token in effects_of(operations, Kind.GRANT):
        if operation.outcome is Outcome.OK:
            owners[effect.target, token].append(operation.client)
    for (target, token), clients in owners.items():
        if len(clients) > 1:
            yield Anomaly(Flaw.DOUBLED, target, f"token {token} was granted {len(clients)} times, to {clients}")


def _stored(operations: Sequence[Operation], observed: Observed) -> Anomalies:
    asked = units_at(operations, Kind.FENCED)
    for target in asked.keys() | observed.fenced.keys():
        tokens = observed.fenced.get(target, ())
        for highest, token in zip(accumulate(tokens, max), tokens, strict=True):
            if token < highest:
                yield Anomaly(Flaw.OVERLAP, target, f"a write of token {token} is stored after one of token {highest}")
        yield from _writes(target, Counter(tokens), asked.get(target, {}))


def _writes(target: str, stored: Counter[Any], asked: Mapping[Value | None, Sequence[Attempts]]) -> Anomalies:
    """Yield the tokens that have not written as often as their owners asked for."""
    for token in asked.keys() | stored.keys():
        calls = asked.get(token, ())
        least, most = sum(each.confirmed for each in calls), sum(not each.refused for each in calls)
        if stored[token] < least:
            yield Anomaly(Flaw.LOST, target, f"a write of token {token} was confirmed and is not there")
        if stored[token] > most:
            flaw = Flaw.DOUBLED if most else Flaw.PHANTOM
            yield Anomaly(flaw, target, f"token {token} wrote {stored[token]} times, and can have {most} times")


def _overtaken(operations: Sequence[Operation]) -> Anomalies:
    """Yield confirmed writes and grants that began after a higher token was granted or had written."""
    known: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    begun: defaultdict[str, list[tuple[float, int, Kind]]] = defaultdict(list)
    for operation, effect, result in effects_of(operations, Kind.GRANT, Kind.FENCED):
        if operation.outcome is Outcome.OK:
            token = int(result if effect.kind is Kind.GRANT else effect.value or 0)
            known[effect.target].append((operation.ended, token))
            begun[effect.target].append((operation.started, token, effect.kind))
    for target, calls in begun.items():
        ends, highest = sorted(known[target], reverse=True), 0
        for started, token, kind in sorted(calls):
            while ends and ends[-1][0] < started:
                highest = max(highest, ends.pop()[1])
            if token < highest:
                flaw, did = (Flaw.OVERLAP, "wrote") if kind is Kind.FENCED else (Flaw.WRONG_ORDER, "was granted")
                yield Anomaly(flaw, target, f"token {token} {did} after token {highest} was granted")
