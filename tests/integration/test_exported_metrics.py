from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

from livingworld import Distribution, LivingWorld, NewScene, Story, World
from livingworld.observability import events
from livingworld.observability.instruments import ALL, Kind
from livingworld.testing.recorded_events import recorded_events
from tests.support.patience import NEVER, until


class Exporter:
    """Keeps what it was given; the first time it fails."""

    def __init__(self, first: MetricExportResult | Exception) -> None:
        self._first = first
        self.given: list[MetricsData] = []

    def export(self, data: MetricsData) -> MetricExportResult:
        self.given.append(data)
        if len(self.given) == 1 and isinstance(self._first, Exception):
            raise self._first
        return self._first if len(self.given) == 1 else MetricExportResult.SUCCESS

    def last(self) -> dict[str, Any]:
        return {each.name: each.data for each in self.given[-1].resource_metrics[0].scope_metrics[0].metrics}


async def test_an_exporter_of_opentelemetry_is_given_what_a_snapshot_shows(
    livingworld: LivingWorld, world: World, story: Story
) -> None:
    exporter = Exporter(MetricExportResult.SUCCESS)
    async with livingworld.export_metrics(exporter, every=NEVER):
        await world.stories.append_scene(story.id, NewScene("one"))
    seen, exported = livingworld.metrics(), exporter.last()

    assert len(exporter.given) == 1
    assert {each.instrument.name for each in seen.series} == exported.keys()
    for series in seen.series:
        # A port is a number there; the default one is left out.
        told = {name: int(value) if name == "server.port" else value for name, value in series.attributes.items()}
        (point,) = [point for point in exported[series.instrument.name].data_points if point.attributes == told]
        if isinstance(series.value, Distribution):
            assert (point.count, point.sum) == (series.value.count, series.value.sum)
            assert (point.min, point.max) == (series.value.minimum, series.value.maximum)
            assert sum(point.bucket_counts) == point.count
            assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
        else:
            assert point.value == series.value
    for instrument in ALL:
        if instrument.kind is not Kind.HISTOGRAM and instrument.name in exported:
            assert exported[instrument.name].is_monotonic == (instrument.kind is Kind.COUNTER)


@pytest.mark.parametrize("first", [MetricExportResult.FAILURE, ConnectionError("a secret of the collector")])
async def test_an_exporter_that_fails_is_logged_and_tried_again(
    livingworld: LivingWorld, first: MetricExportResult | Exception
) -> None:
    exporter = Exporter(first)
    with recorded_events() as recorded:
        async with livingworld.export_metrics(exporter, every=timedelta.resolution):
            await until(lambda: len(exporter.given) > 1)

    (failed,) = recorded.of(events.SERVICE_FAILED)
    assert failed["service"] == "metrics export"
    assert "secret" not in str(failed)
