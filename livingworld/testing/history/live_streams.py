"""Live streams: a subscriber receives each event once and in order, or a notice that some will not come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from livingworld.testing.history.flaws import Anomalies, Anomaly, Flaw
from livingworld.testing.history.operations import Kind, Observed, Operation, Value, effects_of

#: Numbers and values that came one after the other, without a notice between them.
Run: TypeAlias = list[tuple[int | None, Value | None]]


def check_live_streams(operations: Sequence[Operation], observed: Observed) -> Anomalies:
    """Yield events that are missing, doubled or out of order for a subscriber; one without a value has its number."""
    for (client, target), run in _runs(operations):
        where = f"{target}, for {client}"
        for (number, _), (following, _) in pairwise(run):
            if number is not None and following is not None and following != number + 1:
                flaw = Flaw.GAP if following > number else Flaw.DOUBLED
                yield Anomaly(flaw, where, f"event {following} came after event {number}")
        yield from _against_the_list(where, [value for _, value in run], observed.streams.get(target, ()))


def _against_the_list(where: str, received: Sequence[Value | None], stored: Sequence[Value]) -> Anomalies:
    places = {value: place for place, value in enumerate(stored)}
    for before, after in pairwise([value for value in received if value is not None]):
        if before == after or (before in places and after in places and places[after] < places[before]):
            flaw = Flaw.DOUBLED if received.count(after) > 1 else Flaw.WRONG_ORDER
            yield Anomaly(flaw, where, f"{after!r} came after {before!r}")
        elif before in places and after in places and places[after] > places[before] + 1:
            yield Anomaly(Flaw.GAP, where, f"{stored[places[before] + 1]!r} did not come before {after!r}")


def _runs(operations: Sequence[Operation]) -> Iterator[tuple[tuple[str, str], Run]]:
    runs: defaultdict[tuple[str, str], list[Run]] = defaultdict(lambda: [[]])
    for operation, effect, number in effects_of(operations, Kind.RECEIVE, Kind.MISS):
        of_client = runs[operation.client, effect.target]
        if effect.kind is Kind.MISS:
            of_client.append([])
        else:
            of_client[-1].append((number, effect.value))
    for place, parts in runs.items():
        for run in parts:
            yield place, run
