"""What watching costs an append: CPU of the process, appends a second and function calls, with and without it.

One process, one server, 64 tasks that append to 64 stories through group commit. Short slices: in each round every arm
has one, in another order each time, and what it took is compared with the two slices of `off` of the same round. The
machine's noise is in all of them; the medians of the differences are given with their intervals of 95 % (bootstrap).
`off again` is compared as the arms are, and shows how far to believe them.

    off        what counts is replaced by functions that do nothing
    on         as every LivingWorld is: metrics and contention, and nothing reads them
    traced     beside that, spans are asked for below a caller whose trace is not sampled
    sampled    beside that, one task of 64 has a trace that is sampled, and its spans go to a BatchSpanProcessor
    spans      every task has
    bare SDK   `on`, and each task makes a span of the same attributes beside its append, without livingworld

Then each part by itself, the least of many short runs, which no noise reaches: its code is in the processor's caches
there. A span that one task of 64 makes finds them full of other work: `in pairs` are many shorter slices that compare
only `sampled` with `traced`. And the CPU of readers: of a scrape (Prometheus' text) and of an export, and what both are
of a core if each comes once a minute, as their defaults are.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Final
from unittest import mock
from uuid import UUID

from costs import CostMeter
from measuring import check
from observability_pairs import Slice, interval, mean, measured, pairs
from observability_parts import ABOUT, FOUND, caller, parts
from opentelemetry.sdk.metrics import export
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, use_span
from peers.livingworld_api import LivingWorldApi
from scenes import sample_scenes
from servers import describe, parser, server_url

from livingworld import LivingWorld, Settings
from livingworld.observability.histogram import Histogram
from livingworld.observability.opentelemetry_metrics import metrics_of
from livingworld.observability.prometheus import prometheus_text
from livingworld.postgres import migrations
from livingworld.postgres.group_commit.group_meter import GroupMeter
from livingworld.postgres.transactions.contention import Contention
from livingworld.postgres.transactions.unit_meter import UnitMeter
from livingworld.tracing import trace_calls

TASKS: Final = 64
#: A patch makes Python forget what it had specialised.
_WARM_UP_SECONDS: Final = 0.1
#: Appends to each story in a slice of a pair, which take some 50 ms: both of a pair meet the same machine.
_FEW: Final = 8
_COUNTED: Final = 20
_READS: Final = 20
_METERS: Final = {
    Histogram: ("record", "record_each"),
    UnitMeter: ("committed", "answered"),
    GroupMeter: ("sending",),
    Contention: ("held",),
}


class _Nowhere(SpanExporter):  # type: ignore[misc,unused-ignore]
    def export(self, _: object) -> Any:  # noqa: ANN401
        return SpanExportResult.SUCCESS


class Arms:
    """The ways to append: what is watched meanwhile, and below which span each task appends."""

    def __init__(self, one: LivingWorldApi) -> None:
        self._one = one
        self._scenes = sample_scenes()
        self._provider = TracerProvider()
        self._provider.add_span_processor(BatchSpanProcessor(_Nowhere(), max_queue_size=1 << 16))
        self._tracer = self._provider.get_tracer("bare")
        #: By name: what is patched or traced, how many tasks have a sampled trace, and whether the SDK is used alone.
        self.all: dict[str, tuple[Callable[[], AbstractContextManager[Any]], int, bool]] = {
            "off": (_nothing_counts, 0, False),
            "off again": (_nothing_counts, 0, False),
            "on": (nullcontext, 0, False),
            "traced": (self._traced, 0, False),
            "sampled": (self._traced, 1, False),
            "spans": (self._traced, TASKS, False),
            "bare SDK": (nullcontext, TASKS, True),
        }

    def _traced(self) -> AbstractContextManager[Any]:
        return trace_calls(self._provider)

    def close(self) -> None:
        """Stop the SDK's threads."""
        self._provider.shutdown()

    async def run(self, name: str, stories: Sequence[UUID], seconds: float) -> tuple[Slice, int]:
        """Append for so long in one way; return what it cost, and how many scenes there are more."""
        watching, sampled, bare = self.all[name]
        with watching():
            warm = await self._append(stories, _WARM_UP_SECONDS, sampled, bare=bare)
            gc.collect()
            done, count = await measured(self._append(stories, seconds, sampled, bare=bare))
            self._provider.force_flush()
        return done, warm + count

    async def pairs(self, stories: Sequence[UUID], blocks: int) -> tuple[dict[str, Any], int]:
        """Compare one sampled trace with none, in short slices and without a patch between them."""

        async def few(sampled: int) -> tuple[Slice, int]:
            return await measured(self._append(stories, _FEW, sampled, bare=False))

        with self._traced():
            warm = await self._append(stories, _WARM_UP_SECONDS, 1, bare=False)
            found, count = await pairs(few, blocks, TASKS)
            self._provider.force_flush()
        return found, warm + count

    async def calls(self, name: str, stories: Sequence[UUID]) -> float:
        """Return how many functions an append calls in this process, one after the other."""
        watching, sampled, bare = self.all[name]
        with watching(), use_span(caller(sampled=sampled > 1)):
            return await _calls_each(lambda: self._one_append(stories[0], bare=bare))

    async def _append(self, stories: Sequence[UUID], long: float, sampled: int, *, bare: bool) -> int:
        """Append for so many seconds, or so many times to each story."""
        times, end = (long, 0.0) if isinstance(long, int) else (0, time.perf_counter() + long)

        async def writer(story_id: UUID) -> int:
            count = 0
            while count < times or time.perf_counter() < end:
                await self._one_append(story_id, bare=bare)
                count += 1
            return count

        tasks = []
        for number, story_id in enumerate(stories):
            with use_span(caller(sampled=number < sampled)):
                tasks.append(asyncio.create_task(writer(story_id)))
        return sum(await asyncio.gather(*tasks))

    async def _one_append(self, story_id: UUID, *, bare: bool) -> None:
        if bare:
            span = self._tracer.start_span("stories.append_scene", kind=SpanKind.CLIENT, attributes=ABOUT)
            await self._one.append(story_id, next(self._scenes))
            span.set_attributes(FOUND)
            span.end()
        else:
            await self._one.append(story_id, next(self._scenes))


def _nothing(*_: object) -> None:
    """Stand for what counts."""


@contextmanager
def _nothing_counts() -> Iterator[None]:
    with ExitStack() as stack:
        for kind, names in _METERS.items():
            for name in names:
                if hasattr(kind, name):
                    stack.enter_context(mock.patch.object(kind, name, _nothing))
        yield


async def _calls_each(append: Callable[[], Any]) -> float:
    count = itertools.count()
    sys.setprofile(lambda _frame, event, _argument: next(count) if event in {"call", "c_call"} else None)
    try:
        for _ in range(_COUNTED):
            await append()
    finally:
        sys.setprofile(None)
    return next(count) / _COUNTED


async def measure(url: str, rounds: int, seconds: float, blocks: int) -> dict[str, Any]:
    """Return for each arm what it took more than `off`, and what readers take."""
    await migrations.upgrade(url)
    meter = await CostMeter.connect(url)
    async with LivingWorld.open(Settings.load(database_url=url)) as livingworld:
        one = LivingWorldApi(await livingworld.worlds.create("observability"))
        arms, stories = Arms(one), list(await one.begin(TASKS))
        taken: dict[str, list[Slice]] = {name: [] for name in arms.all}
        before, total = await meter.now(), 0
        for number in range(rounds):
            for name in _order(list(arms.all), number):
                done, count = await arms.run(name, stories, seconds)
                taken[name].append(done)
                total += count
        server = (await meter.now() - before).each(total).server_us
        in_pairs, more = await arms.pairs(stories, blocks)
        total += more
        await check(one, stories, total)
        calls = {name: await arms.calls(name, stories) for name in arms.all}
        readers = _readers(livingworld)
        sizes = livingworld.metrics().distribution("livingworld.group.size", {"kind": "append"})
        arms.close()
    await meter.close()
    size = round(sizes.sum / sizes.count)
    alone = {"requests of a group": size} | await parts(size)
    found = {"server us": round(server, 1), "readers": readers, "each alone": alone, "in pairs": in_pairs}
    return found | {"arms": _summary(taken, calls)}


def _order(names: list[str], number: int) -> list[str]:
    """Return the arms of a round: each begins as often as the others, and follows each neighbour as often."""
    place = number // 2 % len(names)
    turned = names[place:] + names[:place]
    return turned if number % 2 else turned[::-1]


def _readers(livingworld: LivingWorld) -> dict[str, float]:
    """Return the CPU of a scrape and of an export, and what both are of a core, each once a minute."""
    works: dict[str, Callable[[], object]] = {
        "scrape ms": lambda: prometheus_text(livingworld.metrics()),
        "export ms": lambda: metrics_of(livingworld.metrics(), export),
    }
    found = {}
    for name, work in works.items():
        cpu = time.process_time()
        for _ in range(_READS):
            work()
        found[name] = round((time.process_time() - cpu) / _READS * 1e3, 2)
    return found | {"% of a core": round(sum(found.values()) / 60e3 * 100, 3)}


def _summary(taken: dict[str, list[Slice]], calls: dict[str, float]) -> dict[str, dict[str, Any]]:
    offs = [mean(pair) for pair in zip(taken["off"], taken["off again"], strict=True)]
    result = {}
    for arm, slices in taken.items():
        base = taken["off"] if arm.startswith("off") else offs
        pairs = list(zip(slices, base, strict=True))
        result[arm] = {
            "appends a second": round(statistics.median(each.rate for each in slices)),
            "% fewer": interval([100 - 100 * mine.rate / off.rate for mine, off in pairs]),
            "client us": round(statistics.median(each.client_us for each in slices), 1),
            "us more": interval([mine.client_us - off.client_us for mine, off in pairs]),
            "% more us": interval([100 * mine.client_us / off.client_us - 100 for mine, off in pairs]),
            "function calls": round(calls[arm], 1),
        }
    return result


def _line(arm: str, row: dict[str, Any]) -> str:
    cells = (f"{v[0]:.1f} ({v[1]:.1f} to {v[2]:.1f})" if isinstance(v, list) else f"{v}" for v in row.values())
    return f"{arm:9}" + "".join(f"  {name} {cell:<22}" for name, cell in zip(row, cells, strict=True))


async def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.set_defaults(rounds=100, seconds=0.25)
    made.add_argument("--blocks", type=int, default=400, help="of six slices that compare one sampled trace")
    arguments = made.parse_args()
    with server_url(arguments) as url:
        result = await measure(url, arguments.rounds, arguments.seconds, arguments.blocks)
        result |= await describe(url)
    lines = [_line(arm, row) for arm, row in result.pop("arms").items()] if not arguments.json else []
    print(json.dumps(result) if arguments.json else "\n".join([*lines, str(result)]))


if __name__ == "__main__":
    asyncio.run(main())
