"""The metrics of a LivingWorld as Prometheus reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Final

from livingworld.observability.histogram import Distribution
from livingworld.observability.instruments import Instrument, Kind
from livingworld.observability.snapshot import MetricSeries, MetricsSnapshot

#: The type of the page that a scraper is given.
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: The bounds of the buckets that are shown, by unit; each is a bound of BOUNDS, so no value is in the wrong one.
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0)
_NUMBERS: Final = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 100000.0)
_SUFFIX: Final = {"s": "_seconds", "By": "_bytes"}


def prometheus_text(snapshot: MetricsSnapshot) -> str:
    """Return a snapshot in Prometheus' text format; one without a reader, since a scraper expects rising counters."""
    ordered = sorted(snapshot.series, key=lambda each: (each.instrument.name, sorted(each.attributes.items())))
    lines = [
        line
        for instrument, series in groupby(ordered, key=lambda each: each.instrument)
        for line in (*_head(instrument), *(line for each in series for line in _lines(each)))
    ]
    return "\n".join(lines) + "\n"


def prometheus_name(instrument: Instrument) -> str:
    """Return the name of an instrument as Prometheus has it."""
    name = instrument.name.replace(".", "_") + _SUFFIX.get(instrument.unit, "")
    return f"{name}_total" if instrument.kind is Kind.COUNTER else name


def bounds_of(instrument: Instrument) -> tuple[float, ...]:
    """Return the bounds of the buckets in which a histogram is exported."""
    return instrument.bounds or (_SECONDS if instrument.unit == "s" else _NUMBERS)


def _head(instrument: Instrument) -> Iterator[str]:
    name = prometheus_name(instrument)
    yield f"# HELP {name} {instrument.meaning}"
    yield f"# TYPE {name} {instrument.kind.value}"


def _lines(series: MetricSeries) -> Iterator[str]:
    name, value = prometheus_name(series.instrument), series.value
    if not isinstance(value, Distribution):
        yield f"{name}{_labels(series.attributes)} {_number(value)}"
        return
    bounds = bounds_of(series.instrument)
    for bound, count in zip(bounds, value.at_most_each(bounds), strict=True):
        yield f"{name}_bucket{_labels(series.attributes, le=_number(bound))} {count}"
    yield f"{name}_bucket{_labels(series.attributes, le='+Inf')} {value.count}"
    yield f"{name}_sum{_labels(series.attributes)} {_number(value.sum)}"
    yield f"{name}_count{_labels(series.attributes)} {value.count}"


def _labels(attributes: Mapping[str, str], **more: str) -> str:
    named = {key.replace(".", "_"): text for key, text in attributes.items()} | more
    pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in sorted(named.items()))
    return f"{{{pairs}}}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(value)
