"""Leases: what is written under a token is never followed by what is written under a lower one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from livingworld.testing.history.flaws import Anomalies, Anomaly, Flaw
from livingworld.testing.history.operations import Kind, Observed, Operation, Outcome, effects_of


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
    confirmed: defaultdict[str, set[object]] = defaultdict(set)
    for operation, effect, _ in effects_of(operations, Kind.FENCED):
        if operation.outcome is Outcome.OK:
            confirmed[effect.target].add(effect.value)
    for target, tokens in observed.fenced.items():
        highest = 0
        for token in tokens:
            if token < highest:
                yield Anomaly(Flaw.OVERLAP, target, f"a write of token {token} is stored after one of token {highest}")
            highest = max(highest, token)
    for target, told in confirmed.items():
        for missing in told - set(observed.fenced.get(target, ())):
            yield Anomaly(Flaw.LOST, target, f"a write of token {missing} was confirmed and is not there")


def _overtaken(operations: Sequence[Operation]) -> Anomalies:
    """Yield confirmed writes that began after a higher token was granted or had written."""
    known: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    writes: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for operation, effect, result in effects_of(operations, Kind.GRANT, Kind.FENCED):
        if operation.outcome is Outcome.OK:
            token = int(result if effect.kind is Kind.GRANT else effect.value or 0)
            known[effect.target].append((operation.ended, token))
            if effect.kind is Kind.FENCED:
                writes[effect.target].append((operation.started, token))
    for target, begun in writes.items():
        ends, highest = sorted(known[target], reverse=True), 0
        for started, token in sorted(begun):
            while ends and ends[-1][0] < started:
                highest = max(highest, ends.pop()[1])
            if token < highest:
                yield Anomaly(Flaw.OVERLAP, target, f"token {token} wrote after token {highest} was granted")
