"""Metrics for OpenTelemetry: a snapshot as its exporters take it.

The distributions are handed over whole. OpenTelemetry's API has no histogram that is read, and to record each value in
one of its histograms would cost a hundred times what counting it costs here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from types import ModuleType
from typing import Any, Final

from livingworld.errors import MissingPackage
from livingworld.observability import events
from livingworld.observability.histogram import Distribution
from livingworld.observability.instruments import Instrument, Kind
from livingworld.observability.metrics import Metrics
from livingworld.observability.prometheus import bounds_of
from livingworld.observability.snapshot import MetricSeries, MetricsSnapshot

_SCOPE: Final = "livingworld"
#: Attributes whose values are numbers in the conventions.
_INTEGERS: Final = {"server.port"}


@asynccontextmanager
async def exporting(metrics: Metrics, exporter: Any, every: timedelta, resource: Any) -> AsyncIterator[None]:  # noqa: ANN401
    """Give the metrics to a MetricExporter about so often while the block runs, and at its end."""
    export = _Export(metrics, exporter, resource)

    async def repeat() -> None:
        while True:
            await asyncio.sleep(every.total_seconds())
            await export.once()

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await export.once()


class _Export:
    """Gives snapshots to an exporter, one at a time; what fails is logged, and the next one has its numbers too."""

    def __init__(self, metrics: Metrics, exporter: Any, resource: Any) -> None:  # noqa: ANN401 - OpenTelemetry's
        try:
            from opentelemetry.sdk.metrics import export  # noqa: PLC0415 - an extra
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415
        except ImportError as error:
            raise MissingPackage(package="opentelemetry-sdk", extra="livingworld[otel]") from error
        self._metrics = metrics
        self._exporter = exporter
        self._sdk = export
        self._resource = resource or Resource.create()
        self._scope = InstrumentationScope(_SCOPE)
        self._turn = asyncio.Lock()

    async def once(self) -> None:
        """Export the present numbers, in a thread: an exporter may wait for its network."""
        async with self._turn:
            data = self._data(metrics_of(self._metrics.snapshot(), self._sdk))
            try:
                result = await asyncio.to_thread(self._exporter.export, data)
                error = None if result is self._sdk.MetricExportResult.SUCCESS else "ExportFailed"
            except Exception as raised:  # noqa: BLE001 - whatever an exporter raises, the application goes on
                error = type(raised).__name__
            if error is not None:
                events.emit(events.SERVICE_FAILED, service="metrics export", error=error)

    def _data(self, metrics: list[Any]) -> Any:  # noqa: ANN401 - OpenTelemetry's
        scope = self._sdk.ScopeMetrics(scope=self._scope, metrics=metrics, schema_url="")
        resource = self._sdk.ResourceMetrics(resource=self._resource, scope_metrics=[scope], schema_url="")
        return self._sdk.MetricsData(resource_metrics=[resource])


def metrics_of(snapshot: MetricsSnapshot, sdk: ModuleType) -> list[Any]:
    """Return a snapshot as metrics of the SDK, with cumulative temporality."""
    ordered = sorted(snapshot.series, key=lambda each: each.instrument.name)
    groups = groupby(ordered, key=lambda each: each.instrument)
    return [_metric(instrument, list(series), snapshot, sdk) for instrument, series in groups]


def _metric(instrument: Instrument, series: list[MetricSeries], at: MetricsSnapshot, sdk: ModuleType) -> Any:  # noqa: ANN401
    points = [_point(each, at, sdk) for each in series]
    cumulative = sdk.AggregationTemporality.CUMULATIVE
    if instrument.kind is Kind.HISTOGRAM:
        data = sdk.Histogram(data_points=points, aggregation_temporality=cumulative)
    elif instrument.kind is Kind.COUNTER:
        data = sdk.Sum(data_points=points, aggregation_temporality=cumulative, is_monotonic=True)
    else:  # what many processes have adds up
        data = sdk.Sum(data_points=points, aggregation_temporality=cumulative, is_monotonic=False)
    return sdk.Metric(name=instrument.name, description=instrument.meaning, unit=instrument.unit, data=data)


def _point(series: MetricSeries, at: MetricsSnapshot, sdk: ModuleType) -> Any:  # noqa: ANN401
    about: dict[str, Any] = {
        "attributes": {name: int(text) if name in _INTEGERS else text for name, text in series.attributes.items()},
        "start_time_unix_nano": _nanoseconds(at.since),
        "time_unix_nano": _nanoseconds(at.at),
    }
    value = series.value
    if not isinstance(value, Distribution):
        return sdk.NumberDataPoint(**about, value=value)
    bounds = bounds_of(series.instrument)
    below = [0, *value.at_most_each(bounds), value.count]
    return sdk.HistogramDataPoint(
        **about,
        count=value.count,
        sum=value.sum,
        bucket_counts=[after - before for before, after in pairwise(below)],
        explicit_bounds=list(bounds),
        min=value.minimum,
        max=value.maximum,
    )


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
