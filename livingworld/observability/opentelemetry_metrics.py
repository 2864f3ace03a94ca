"""Metrics for OpenTelemetry: its API only, and imported only where it is asked for.

Counters and gauges are read when a reader of the provider collects. The API has no histogram that is read: the values
since the last collection are then recorded one by one, each by the bucket that it fell into, so within 4.5 %; the least
and the greatest of them are exact. Nothing of this happens where the values are measured.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from contextlib import contextmanager
from itertools import chain, repeat
from typing import Any, Final, TypeAlias

from livingworld.errors import MissingPackage
from livingworld.observability.histogram import Distribution, middle
from livingworld.observability.instruments import ALL, Instrument, Kind
from livingworld.observability.metrics import Metrics
from livingworld.observability.prometheus import bounds_of
from livingworld.observability.snapshot import MetricsSnapshot

_READER: Final = "livingworld.opentelemetry"
#: A loop that is busy for longer is not waited for: the reader then sees the numbers of its collection before.
_PATIENCE_SECONDS: Final = 1.0
#: All since the beginning, and what was added since the last collection; of one moment.
_Pair: TypeAlias = tuple[MetricsSnapshot, MetricsSnapshot]


@contextmanager
def exported(metrics: Metrics, meter_provider: Any = None) -> Iterator[None]:  # noqa: ANN401 - OpenTelemetry's
    """Let the readers of a MeterProvider (None: the global one) collect these metrics while the block runs.

    Called in the loop of the metrics. After the block the numbers stay as they were at its end. Raises MissingPackage.
    """
    try:
        from opentelemetry import metrics as api  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingPackage(package="opentelemetry-api", extra="livingworld[otel]") from error
    source = _Source(metrics)
    meter = (meter_provider or api.get_meter_provider()).get_meter("livingworld")
    _Export(meter, api.Observation, source.take)
    try:
        yield
    finally:
        source.close()


class _Source:
    """The metrics as any thread reads them: in their loop, since only there a snapshot is of one moment."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        #: After the end: the last numbers, for one collection.
        self._last: _Pair | None = None
        self._closed = False

    def take(self) -> _Pair | None:
        """Return the present numbers; None when nothing was added, or the loop does not answer in time."""
        if self._closed:
            last, self._last = self._last, None
            return last
        if threading.get_ident() == self._thread:
            return self._read()
        answer: Future[_Pair] = Future()
        try:
            self._loop.call_soon_threadsafe(self._answer, answer)
            return answer.result(_PATIENCE_SECONDS)
        except NoAnswer:
            return None if answer.cancel() else answer.result()
        except RuntimeError:  # the loop is closed
            return None

    def close(self) -> None:
        """Keep the last numbers for the next collection."""
        self._last, self._closed = self._read(), True

    def _answer(self, answer: Future[_Pair]) -> None:
        if answer.set_running_or_notify_cancel():
            answer.set_result(self._read())

    def _read(self) -> _Pair:
        return self._metrics.snapshot(), self._metrics.snapshot(_READER)


class _Export:
    """The instruments of a meter. Each collection asks for all of them, and gets numbers of one moment."""

    def __init__(self, meter: Any, observation: Any, take: Callable[[], _Pair | None]) -> None:  # noqa: ANN401
        self._observation = observation
        self._take = take
        self._lock = threading.Lock()
        self._snapshot: MetricsSnapshot | None = None
        #: What this collection has asked for already: who asks for it again begins the next one.
        self._served: set[Instrument] = set()
        self._histograms: dict[Instrument, Any] = {}
        for each in ALL:
            self._add(meter, each)

    def _add(self, meter: Any, instrument: Instrument) -> None:  # noqa: ANN401 - OpenTelemetry's
        described = {"unit": instrument.unit, "description": instrument.meaning}
        if instrument.kind is Kind.HISTOGRAM:
            bounds = [float(bound) for bound in bounds_of(instrument)]
            self._histograms[instrument] = meter.create_histogram(
                instrument.name, **described, explicit_bucket_boundaries_advisory=bounds
            )
            return
        counter, gauge = meter.create_observable_counter, meter.create_observable_up_down_counter
        create = counter if instrument.kind is Kind.COUNTER else gauge
        create(instrument.name, callbacks=[lambda _: self._observe(instrument)], **described)

    def _observe(self, instrument: Instrument) -> Iterable[Any]:
        with self._lock:
            if self._snapshot is None or instrument in self._served:
                self._collect()
            self._served.add(instrument)
            found = () if self._snapshot is None else self._snapshot.of(instrument.name)
        return [self._observation(each.value, dict(each.attributes)) for each in found]

    def _collect(self) -> None:
        self._served.clear()
        if (pair := self._take()) is None:
            return
        self._snapshot, added = pair
        for series in added.series:
            if isinstance(series.value, Distribution):
                record, attributes = self._histograms[series.instrument].record, dict(series.attributes)
                for value in values_of(series.value):
                    record(value, attributes)


def values_of(distribution: Distribution) -> Iterator[float]:
    """Yield one value for each that was recorded: its bucket's, but for the least and the greatest, which are exact."""
    if distribution.minimum is None or distribution.maximum is None:
        return
    kept = chain.from_iterable(repeat(middle(bucket), count) for bucket, count in enumerate(distribution.buckets))
    for place, value in enumerate(kept, start=1):
        if place == distribution.count:
            yield distribution.maximum
        elif place == 1:
            yield distribution.minimum
        else:
            yield value
