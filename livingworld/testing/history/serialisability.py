"""Strict serialisability: some order of all operations, one after the other, explains every answer and keeps real time.

Every value is written once, so the order of the writes and what each read saw are known. They give edges from what came
before to what came after; an edge in real time leads from each operation to those that began after its end. A cycle
means that no order exists. It is found in time that grows with the number of edges: the ends of operations are a chain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TypeAlias

from livingworld.testing.history.flaws import Anomalies, Anomaly, Flaw
from livingworld.testing.history.lists import length_of
from livingworld.testing.history.operations import Effect, Kind, Observed, Operation, Outcome, Value, effects_of

#: A unit of work, or a moment.
Node: TypeAlias = str
Written: TypeAlias = Mapping[str, Sequence[Value | None]]


def check_serialisability(operations: Sequence[Operation], observed: Observed) -> Anomalies:
    """Yield one shortest-found cycle of operations that no order explains, if there is one; of lists and documents."""
    order: TopologicalSorter[Node] = TopologicalSorter()
    for before, after in _edges(operations, observed):
        if before != after:
            order.add(after, before)
    try:
        order.prepare()
    except CycleError as error:
        cycle = [node for node in error.args[1] if not node.startswith("time ")]
        what = " before ".join(dict.fromkeys(cycle)) + f" before {cycle[0]}"
        yield Anomaly(Flaw.NOT_SERIALISABLE, "the history", what)


def _edges(operations: Sequence[Operation], observed: Observed) -> Iterator[tuple[Node, Node]]:
    names = {id(operation): _name(operation, place) for place, operation in enumerate(operations)}
    for write, reads, stored in (
        (Kind.APPEND, (Kind.READ, Kind.LAST), observed.lists),
        (Kind.WRITE, (Kind.LOOK,), observed.documents),
    ):
        writers = {
            (effect.target, effect.value): names[id(operation)]
            for operation, effect, _ in effects_of(operations, write)
            if operation.outcome is not Outcome.FAILED
        }
        yield from _orders_of_writes(writers, stored)
        for operation, effect, seen in effects_of(operations, *reads):
            if operation.outcome is Outcome.OK:
                yield from _around_a_read(names[id(operation)], effect, length_of(effect.kind, seen), writers, stored)
    yield from _real_time(operations, names)


def _name(operation: Operation, place: int) -> Node:
    if operation.request_key is not None:
        return f"{operation.name} with key {operation.request_key}"
    return f"{operation.name} of {operation.client} (operation {place})"


def _orders_of_writes(writers: Mapping[tuple[str, Value | None], Node], stored: Written) -> Iterator[tuple[Node, Node]]:
    for target, values in stored.items():
        nodes = [writers[target, value] for value in values if (target, value) in writers]
        yield from pairwise(nodes)


def _around_a_read(
    reader: Node, effect: Effect, length: int, writers: Mapping[tuple[str, Value | None], Node], stored: Written
) -> Iterator[tuple[Node, Node]]:
    values = stored.get(effect.target, ())
    if 0 < length <= len(values) and (effect.target, values[length - 1]) in writers:
        yield writers[effect.target, values[length - 1]], reader
    if length < len(values) and (effect.target, values[length]) in writers:
        yield reader, writers[effect.target, values[length]]


def _real_time(operations: Sequence[Operation], names: Mapping[int, Node]) -> Iterator[tuple[Node, Node]]:
    spans = _spans(operations, names)
    moments = sorted([(end, 1, node) for node, (_, end) in spans.items() if end < math.inf])
    moments += [(start, 0, node) for node, (start, _) in spans.items()]
    last: Node | None = None
    for number, (_, is_end, node) in enumerate(sorted(moments)):
        if is_end:
            moment = f"time {number}"
            yield node, moment
            if last is not None:
                yield last, moment
            last = moment
        elif last is not None:
            yield last, node


def _spans(operations: Sequence[Operation], names: Mapping[int, Node]) -> Mapping[Node, tuple[float, float]]:
    """Return when each unit began at the earliest and had happened at the latest."""
    spans: dict[Node, tuple[float, float]] = {}
    for operation in operations:
        if operation.outcome is Outcome.FAILED:
            continue
        start, end = spans.get(names[id(operation)], (math.inf, math.inf))
        ended = operation.ended if operation.outcome is Outcome.OK else math.inf
        spans[names[id(operation)]] = min(start, operation.started), min(end, ended)
    return spans
