"""The metrics of one opened LivingWorld: numbers in memory, written without a lock and read at one moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from weakref import WeakSet

from livingworld.errors import InvalidInput
from livingworld.observability.histogram import Distribution, Histogram
from livingworld.observability.instruments import (
    MODEL_DURATION,
    MODEL_TOKENS,
    STATEMENT_DURATION,
    Instrument,
    Kind,
)
from livingworld.observability.snapshot import MetricSeries, MetricsSnapshot, Value

#: Most series of one instrument; further ones are counted together, in the series whose attributes are all OTHER.
MOST_SERIES: Final = 200
#: Most readers with intervals of their own.
MOST_READERS: Final = 16
OTHER: Final = "_OTHER"
#: Attributes that OpenTelemetry requires of such instruments: the application's models have no provider here.
CONSTANT: Final = {
    STATEMENT_DURATION: {"db.system.name": "postgresql"},
    MODEL_DURATION: {"gen_ai.provider.name": OTHER},
    MODEL_TOKENS: {"gen_ai.provider.name": OTHER},
}

#: The values of an instrument's attributes, in their order.
Attributes: TypeAlias = tuple[str, ...]


class Counter:
    """A number that rises: `counter.value += 1`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def take(self) -> float:
        """Return what was added since the last time, and begin again."""
        value, self.value = self.value, 0
        return value


@dataclass(slots=True)
class _Cell:
    """What is written, and what readers have not been given yet."""

    written: Counter | Histogram
    total: Value
    pending: dict[str, Value]


class Metrics:
    """The counters, histograms and gauges of one LivingWorld; written and read in its event loop only.

    A place that writes often keeps the object that `counter` or `histogram` returns. No method waits.
    """

    def __init__(self) -> None:
        self._cells: dict[Instrument, dict[Attributes, _Cell]] = {}
        self._gauges: dict[Instrument, dict[Attributes, Callable[[], float]]] = {}
        self._owners: dict[tuple[Instrument, Attributes], WeakSet[Any]] = {}
        self._began = datetime.now(UTC)
        #: When each reader with intervals of its own asked last.
        self._readers: dict[str, datetime] = {}

    def counter(self, instrument: Instrument, *attributes: str) -> Counter:
        """Return the counter of a series; the same object each time."""
        written = self._cell(instrument, Kind.COUNTER, attributes).written
        assert isinstance(written, Counter)  # noqa: S101 - for the type checker
        return written

    def histogram(self, instrument: Instrument, *attributes: str) -> Histogram:
        """Return the histogram of a series; the same object each time."""
        written = self._cell(instrument, Kind.HISTOGRAM, attributes).written
        assert isinstance(written, Histogram)  # noqa: S101 - for the type checker
        return written

    def add(self, instrument: Instrument, number: float, *attributes: str) -> None:
        """Add to a counter, by the values of its attributes in their order."""
        self.counter(instrument, *attributes).value += number

    def record(self, instrument: Instrument, value: float, *attributes: str) -> None:
        """Record a value in a histogram, by the values of its attributes in their order."""
        self.histogram(instrument, *attributes).record(value)

    def observe(self, instrument: Instrument, read: Callable[[], float], *attributes: str) -> None:
        """Have a gauge read at each snapshot."""
        _check(instrument, Kind.GAUGE, attributes)
        self._gauges.setdefault(instrument, {})[attributes] = read

    def observe_each(
        self, instrument: Instrument, owner: object, read: Callable[[Any], float], *attributes: str
    ) -> None:
        """Have a gauge read at each snapshot that is the sum over its owners, as long as each is used."""
        owners = self._owners.setdefault((instrument, attributes), WeakSet())
        owners.add(owner)
        self.observe(instrument, lambda: sum(map(read, owners)), *attributes)

    def snapshot(self, reader: str | None = None) -> MetricsSnapshot:
        """Return every series as it is at this moment.

        Counters and histograms are those since the beginning, or those since the last time that the same `reader`
        asked, the first time since the beginning. A reader takes nothing from another one. Raises InvalidInput for a
        further reader when there are MOST_READERS.
        """
        at, since, is_new = datetime.now(UTC), self._began, False
        if reader is not None:
            is_new, since = reader not in self._readers, self._readers.get(reader, since)
            if is_new and len(self._readers) >= MOST_READERS:
                raise InvalidInput("reader", f"is a further one; there are {MOST_READERS} readers already")
            self._readers[reader] = at
        series = [
            _series(instrument, attributes, read())
            for instrument, readings in self._gauges.items()
            for attributes, read in readings.items()
        ]
        series += [
            _series(instrument, attributes, self._taken(cell, reader, is_new=is_new))
            for instrument, cells in self._cells.items()
            for attributes, cell in cells.items()
        ]
        return MetricsSnapshot(at=at, since=since, series=tuple(series))

    def _taken(self, cell: _Cell, reader: str | None, *, is_new: bool) -> Value:
        """Give what was written to the total and to each reader, and return what this reader is to see."""
        written = cell.written.take()
        cell.total = _sum(cell.total, written)
        for each in self._readers:
            cell.pending[each] = _sum(cell.pending[each], written) if each in cell.pending else written
        if reader is None:
            return cell.total
        pending = cell.pending.pop(reader)
        return cell.total if is_new else pending

    def _cell(self, instrument: Instrument, kind: Kind, attributes: Attributes) -> _Cell:
        cells = self._cells.get(instrument)
        if cells is not None and (found := cells.get(attributes)) is not None:
            return found
        _check(instrument, kind, attributes)
        cells = self._cells.setdefault(instrument, {})
        if len(cells) >= MOST_SERIES:
            attributes = (OTHER,) * len(attributes)
        return cells.setdefault(attributes, _new_cell(kind))


def _new_cell(kind: Kind) -> _Cell:
    return _Cell(Counter(), 0, {}) if kind is Kind.COUNTER else _Cell(Histogram(), Distribution(), {})


def _check(instrument: Instrument, kind: Kind, attributes: Attributes) -> None:
    if instrument.kind is not kind or len(attributes) != len(instrument.attributes):
        raise TypeError(instrument.name)


def _series(instrument: Instrument, attributes: Attributes, value: Value) -> MetricSeries:
    named = {name: text for name, text in zip(instrument.attributes, attributes, strict=True) if text}
    named |= CONSTANT.get(instrument, {})
    return MetricSeries(instrument, MappingProxyType(named), value)


def _sum(one: Value, other: Value) -> Value:
    return one + other  # type: ignore[operator]  # two of a kind
