"""What a call costs while its story grows: medians in milliseconds and CPU time, one task, and a picture of the latter.

One story is appended to by many tasks until it has 10, 100, ... 200,000 scenes; at each length every call is made again
and again. --svg writes the curves, and the numbers beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from costs import CostMeter
from scenes import SampleScene, sample_scenes
from servers import describe, parser, server_url
from svg_curves import svg_curves

from livingworld import LivingWorld, NewScene, Settings, Turn, World
from livingworld.postgres import migrations

LENGTHS: Final = (10, 100, 1_000, 10_000, 100_000, 200_000)
#: The server's CPU time is counted in hundredths of a second.
TIMES: Final = 100
_TASKS: Final = 64
Call = Callable[[], Awaitable[object]]


async def main() -> None:
    """Measure, print and draw."""
    made = parser(__doc__)
    made.add_argument("--svg", type=Path, help="write the curves into this file, and the numbers into one with .json")
    made.add_argument("--longest", type=int, default=LENGTHS[-1], help="stop at so many scenes")
    arguments = made.parse_args()
    with server_url(arguments) as url:
        await migrations.upgrade(url)
        result = await measure(url, arguments) | await describe(url)
    if arguments.svg:
        title = f"CPU of client and server in microseconds a call, PostgreSQL {result['server_version']}"
        arguments.svg.write_text(svg_curves(result["cpu_us"], title, "scenes of the story"), encoding="utf-8")
        arguments.svg.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result) if arguments.json else table(result["milliseconds"], result["cpu_us"]))


async def measure(url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the median of each call at each length, and its CPU time."""
    result: dict[str, dict[str, dict[int, float]]] = {"milliseconds": {}, "cpu_us": {}}
    scenes = sample_scenes()
    settings = Settings.load(database_url=url, index_words=False)  # indexed before each length, and never meanwhile
    async with LivingWorld.open(settings) as livingworld, AsyncExitStack() as stack:
        meter = await CostMeter.connect(url)
        stack.push_async_callback(meter.close)
        world = await livingworld.worlds.create("benchmark")
        story_id = (await world.stories.create("The long one")).id
        await world.characters.get_or_create("Mara")
        stored = 0
        for length in (length for length in LENGTHS if length <= arguments.longest):
            await grow(world, story_id, scenes, length - stored)
            while await world.search.index(10_000):
                pass
            for name, call in calls(world, story_id, scenes).items():
                milliseconds, cpu_us = await costs_of(call, meter)
                result["milliseconds"].setdefault(name, {})[length] = round(milliseconds, 3)
                result["cpu_us"].setdefault(name, {})[length] = round(cpu_us)
            stored = (await world.stories.head(story_id)).branch.length
    return result


async def grow(world: World, story_id: UUID, scenes: Iterator[SampleScene], count: int) -> None:
    """Append so many scenes."""
    left = iter(range(count))

    async def writer() -> None:
        for _ in left:
            scene = next(scenes)
            await world.stories.append_scene(story_id, NewScene(scene.content, scene.choices))

    await asyncio.gather(*(writer() for _ in range(_TASKS)))


def calls(world: World, story_id: UUID, scenes: Iterator[SampleScene]) -> dict[str, Call]:
    """Return the calls that are measured."""
    keys = itertools.count()

    async def write(_: Turn) -> NewScene:
        return NewScene(next(scenes).content)

    return {
        "append": lambda: world.stories.append_scene(story_id, NewScene(next(scenes).content)),
        "whole turn": lambda: world.turns.play(story_id, write, request_key=f"{time.time()} {next(keys)}"),
        "head": lambda: world.stories.head(story_id),
        "recent(20)": lambda: world.stories.recent(story_id, 20),
        "get_or_create": lambda: world.characters.get_or_create("Mara"),
        "search": lambda: world.search.find("ba"),
    }


async def costs_of(call: Call, meter: CostMeter) -> tuple[float, float]:
    """Return the median of how long the call takes in milliseconds, and its CPU time in microseconds."""
    durations = []
    before = await meter.now()
    for _ in range(TIMES):
        started = time.perf_counter()
        await call()
        durations.append(time.perf_counter() - started)
    cost = (await meter.now() - before).each(TIMES)
    return statistics.median(durations) * 1000, max(cost.client_us + cost.server_us, 1)


def table(milliseconds: dict[str, dict[int, float]], cpu_us: dict[str, dict[int, float]]) -> str:
    """Return the medians and the CPU times for a person."""
    lengths = list(next(iter(milliseconds.values())))
    lines = ["ms, us of CPU at " + "".join(f"{length:>16,}" for length in lengths)]
    for name, row in milliseconds.items():
        cells = (f"{row[length]:.2f}, {cpu_us[name][length]:,}" for length in lengths)
        lines.append(f"{name:<17}" + "".join(f"{cell:>16}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    asyncio.run(main())
