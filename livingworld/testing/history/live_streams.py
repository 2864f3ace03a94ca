"""Live streams: a subscriber receives each event once and in order, or a notice that some will not come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from livingworld.testing.history.flaws import Anomalies, Anomaly, Flaw
from livingworld.testing.history.operations import Kind, Observed, Operation, Value, effects_of


class Item(NamedTuple):
    """An event or a notice, as it was received."""

    is_notice: bool
    number: int | None
    value: Value | None


def check_live_streams(operations: Sequence[Operation], observed: Observed) -> Anomalies:
    """Yield events that are missing, doubled, out of order or of nobody; one without a value has its number."""
    for (client, target), items in _received(operations).items():
        where, stored = f"{target}, for {client}", observed.streams.get(target, ())
        places = {value: place for place, value in enumerate(stored)}
        yield from _steps(where, items, lambda item: item.number, lambda number: f"event {number}")
        yield from _steps(where, items, _place_in(places), lambda place, stored=stored: repr(stored[place]))  # type: ignore[misc]
        for item in items if stored else ():
            if item.value is not None and item.value not in places:
                yield Anomaly(Flaw.PHANTOM, where, f"{item.value!r} came, and the stream does not announce it")


def _place_in(places: Mapping[Value, int]) -> Callable[[Item], int | None]:
    return lambda item: None if item.value is None else places.get(item.value)


def _steps(
    where: str, items: Sequence[Item], place_of: Callable[[Item], int | None], name_of: Callable[[int], str]
) -> Anomalies:
    """Yield each item whose place does not follow the highest before it; a notice explains a gap, and nothing else."""
    highest, is_explained, received = None, False, set()
    for item in items:
        place = place_of(item)
        is_explained = is_explained or item.is_notice
        if place is None:
            continue
        if highest is not None and place <= highest:
            flaw = Flaw.DOUBLED if place in received else Flaw.WRONG_ORDER
            yield Anomaly(flaw, where, f"{name_of(place)} came after {name_of(highest)}")
        elif highest is not None and place > highest + 1 and not is_explained:
            yield Anomaly(Flaw.GAP, where, f"{name_of(highest + 1)} did not come before {name_of(place)}")
        highest, is_explained = max(place, highest or place), item.is_notice
        if not item.is_notice:
            received.add(place)


def _received(operations: Sequence[Operation]) -> Mapping[tuple[str, str], list[Item]]:
    """Return what came, by subscriber and stream."""
    found: defaultdict[tuple[str, str], list[Item]] = defaultdict(list)
    for operation, effect, number in effects_of(operations, Kind.RECEIVE, Kind.MISS):
        found[operation.client, effect.target].append(Item(effect.kind is Kind.MISS, number, effect.value))
    return found
