"""What the metrics of one LivingWorld show at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, TypeAlias

from livingworld.observability.histogram import Distribution
from livingworld.observability.instruments import Instrument

#: The number of a counter or a gauge, or the distribution of a histogram.
Value: TypeAlias = float | Distribution
_ANY: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class MetricSeries:
    """One instrument with one set of attributes, and what it shows."""

    instrument: Instrument
    #: By name; an attribute that does not apply, such as the error of a success, is left out.
    attributes: Mapping[str, str]
    #: The number of a counter or a gauge, or the Distribution of a histogram.
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSnapshot:
    """Every series at one moment: no call of this process changed one of them between two others."""

    #: When it was taken, and when what it counts began: by the clock of this machine.
    at: datetime
    since: datetime
    series: tuple[MetricSeries, ...]

    def of(self, name: str, attributes: Mapping[str, str] = _ANY) -> tuple[MetricSeries, ...]:
        """Return the series of an instrument that have these attributes, among others; empty when there is none yet."""
        return tuple(
            each
            for each in self.series
            if each.instrument.name == name and attributes.items() <= each.attributes.items()
        )

    def total(self, name: str, attributes: Mapping[str, str] = _ANY) -> float:
        """Return the sum of a counter or a gauge over the series that have these attributes; 0 when there is none."""
        return sum(each.value for each in self.of(name, attributes) if not isinstance(each.value, Distribution))

    def distribution(self, name: str, attributes: Mapping[str, str] = _ANY) -> Distribution:
        """Return the values of a histogram over the series that have these attributes; with count 0 when none is."""
        found = (each.value for each in self.of(name, attributes) if isinstance(each.value, Distribution))
        return sum(found, Distribution())
