from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from livingworld import Distribution, LivingWorld, NewScene, Story, World
from livingworld.observability.histogram import Histogram
from livingworld.observability.instruments import ALL, Kind
from livingworld.observability.opentelemetry_metrics import values_of


def collected(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    data = reader.get_metrics_data()
    metrics = data.resource_metrics[0].scope_metrics[0].metrics if data is not None else []
    return {metric.name: list(metric.data.data_points) for metric in metrics}


@pytest.mark.parametrize("in_the_loop", [True, False])
async def test_opentelemetry_collects_what_a_snapshot_shows(
    livingworld: LivingWorld, world: World, story: Story, *, in_the_loop: bool
) -> None:
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    provider = MeterProvider(metric_readers=readers)
    async with livingworld.export_metrics(provider):
        await world.stories.append_scene(story.id, NewScene("one"))
        shown = livingworld.metrics()
        first = collected(readers[0]) if in_the_loop else await asyncio.to_thread(collected, readers[0])
        await world.stories.append_scene(story.id, NewScene("two"))
    after, last = livingworld.metrics(), collected(readers[1])
    provider.shutdown()

    for seen, exported in ((shown, first), (after, last)):
        for instrument in ALL:
            points = exported.get(instrument.name, [])
            if instrument.kind is Kind.HISTOGRAM:
                whole = seen.distribution(instrument.name)
                assert sum(point.count for point in points) == whole.count
                assert sum(point.sum for point in points) == pytest.approx(whole.sum, rel=0.05)
            else:
                assert sum(point.value for point in points) == seen.total(instrument.name)
    assert last["db.client.operation.duration"][0].attributes["db.system.name"] == "postgresql"


def test_the_ends_of_replayed_values_are_exact() -> None:
    histogram = Histogram()
    for value in (3.3, 0.7, 5.1):
        histogram.record(value)

    assert list(values_of(histogram.take())) == [0.7, pytest.approx(3.3, rel=0.045), 5.1]
    histogram.record(2.2)
    assert list(values_of(histogram.take())) == [2.2]
    assert list(values_of(Distribution())) == []
