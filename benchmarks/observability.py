"""What watching costs: appends a second, CPU of the client and function calls for each append, with and without it.

One process, one server, rounds in which the arms take turns; the medians of what each arm took relative to `off` in
the same round. 64 tasks append to 64 stories, through group commit.

    off        what counts is replaced by functions that do nothing
    on         as every LivingWorld is: it counts, and nothing reads it
    scraped    beside that, Prometheus' text once a second
    otel       beside that, metrics go to an exporter once a second, and each call continues a trace that is not sampled
    spans      the same with every trace sampled: what OpenTelemetry's SDK takes for a span of each append
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from typing import Any, Final
from unittest import mock
from uuid import UUID

from costs import CostMeter
from measuring import append_for, check
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from peers.livingworld_api import LivingWorldApi
from servers import describe, parser, server_url

from livingworld import LivingWorld, NewScene, Settings
from livingworld.observability.histogram import Histogram
from livingworld.observability.prometheus import prometheus_text
from livingworld.postgres import migrations
from livingworld.postgres.group_commit.group_meter import GroupMeter
from livingworld.postgres.transactions.unit_meter import UnitMeter
from livingworld.tracing import trace_calls

TASKS: Final = 64
EVERY_SECONDS: Final = 1.0
_COUNTED: Final = 20
_METERS: Final = {Histogram: ("record",), UnitMeter: ("committed", "answered"), GroupMeter: ("sending",)}


class Arms:
    """The ways to append, each a block in which the process watches so much."""

    def __init__(self, livingworld: LivingWorld) -> None:
        self._livingworld = livingworld

    @asynccontextmanager
    async def off(self) -> AsyncIterator[None]:
        """Count nothing."""
        with _nothing_counts():
            yield

    @asynccontextmanager
    async def on(self) -> AsyncIterator[None]:
        """Count, and read nothing."""
        yield

    @asynccontextmanager
    async def scraped(self) -> AsyncIterator[None]:
        """Scrape."""
        async with _again_and_again(self._scrape):
            yield

    @asynccontextmanager
    async def otel(self, *, sampled: bool = False) -> AsyncIterator[None]:
        """Export, and continue the trace of a caller that is sampled or not."""
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(_Nowhere()))
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        caller = NonRecordingSpan(SpanContext(trace_id=1, span_id=1, is_remote=True, trace_flags=flags))
        every = timedelta(seconds=EVERY_SECONDS)
        with trace_calls(provider), use_span(caller):
            async with self.scraped(), self._livingworld.export_metrics(_Exporter(), every=every):
                yield
        provider.shutdown()

    def spans(self) -> AbstractAsyncContextManager[None]:
        """Export, and continue a trace that is sampled."""
        return self.otel(sampled=True)

    async def _scrape(self) -> None:
        prometheus_text(self._livingworld.metrics())


class _Exporter:
    def export(self, _: object) -> MetricExportResult:
        return MetricExportResult.SUCCESS


class _Nowhere(SpanExporter):  # type: ignore[misc,unused-ignore]
    def export(self, _: object) -> Any:  # noqa: ANN401
        return SpanExportResult.SUCCESS


def _nothing(*_: object) -> None:
    """Stand for what counts."""


@contextmanager
def _nothing_counts() -> Iterator[None]:
    patches = [mock.patch.object(kind, name, _nothing) for kind, names in _METERS.items() for name in names]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


@asynccontextmanager
async def _again_and_again(work: Callable[[], Any]) -> AsyncIterator[None]:
    async def repeat() -> None:
        while True:
            await work()
            await asyncio.sleep(EVERY_SECONDS)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def calls_each(one: LivingWorldApi, stories: list[UUID]) -> float:
    """Return how many functions an append calls in this process, one after the other."""
    count = itertools.count()
    sys.setprofile(lambda _frame, event, _argument: next(count) if event in {"call", "c_call"} else None)
    try:
        for _ in range(_COUNTED):
            await one.world.stories.append_scene(stories[0], NewScene("on"))
    finally:
        sys.setprofile(None)
    return next(count) / _COUNTED


async def measure(url: str, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return for each arm the medians: appends a second, client microseconds and function calls for each append."""
    await migrations.upgrade(url)
    meter = await CostMeter.connect(url)
    async with LivingWorld.open(Settings.load(database_url=url)) as livingworld:
        one = LivingWorldApi(await livingworld.worlds.create("observability"))
        arms, taken = Arms(livingworld), dict[str, list[tuple[float, float, float]]]()
        for number in range(rounds + 1):  # the first warms up
            for arm in _turned((arms.off, arms.on, arms.scraped, arms.otel, arms.spans), number):
                async with arm():
                    done = await _round(one, meter, seconds)
                if number:
                    taken.setdefault(arm.__name__, []).append(done)
    await meter.close()
    return _summary(taken)


async def _round(one: LivingWorldApi, meter: CostMeter, seconds: float) -> tuple[float, float, float]:
    stories = list(await one.begin(TASKS))
    gc.collect()
    before = await meter.now()
    count = await append_for(one, stories, TASKS, seconds)
    cost = (await meter.now() - before).each(count)
    await check(one, stories, count)
    return count / seconds, cost.client_us, await calls_each(one, stories)


def _turned(arms: tuple[Any, ...], number: int) -> tuple[Any, ...]:
    place = number % len(arms)
    return arms[place:] + arms[:place]


def _summary(taken: dict[str, list[tuple[float, float, float]]]) -> dict[str, dict[str, float]]:
    result = {}
    for arm, rounds in taken.items():
        rate, client, calls = (statistics.median(values) for values in zip(*rounds, strict=True))
        pairs = list(zip(rounds, taken["off"], strict=True))
        slower = statistics.median(1 - mine[0] / off[0] for mine, off in pairs)
        dearer = statistics.median(mine[1] - off[1] for mine, off in pairs)
        result[arm] = {
            "appends a second": round(rate),
            "% fewer than off": round(slower * 100, 1),
            "client us": round(client, 1),
            "us more than off": round(dearer, 1),
            "function calls": round(calls, 1),
        }
    return result


async def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__).parse_args()
    with server_url(arguments) as url:
        result = await measure(url, arguments.rounds, arguments.seconds)
        about = await describe(url)
    lines = [f"{arm:8}" + "".join(f"  {name} {value:>9}" for name, value in row.items()) for arm, row in result.items()]
    print(json.dumps(result | about) if arguments.json else "\n".join([*lines, str(about)]))


if __name__ == "__main__":
    asyncio.run(main())
