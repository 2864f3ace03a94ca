"""What a call costs while its story grows: medians in milliseconds, one task, and a picture of them.

One story is appended to by many tasks until it has 10, 100, ... 200,000 scenes; at each length every call is made again
and again. --svg writes the curves.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from scenes import SampleScene, sample_scenes
from servers import describe, parser, server_url

from livingworld import LivingWorld, NewScene, Settings, Turn, World
from livingworld.postgres import migrations

LENGTHS: Final = (10, 100, 1_000, 10_000, 100_000, 200_000)
TIMES: Final = 60
_TASKS: Final = 64
Call = Callable[[], Awaitable[object]]


async def main() -> None:
    """Measure, print and draw."""
    made = parser(__doc__)
    made.add_argument("--svg", type=Path, help="write the curves into this file")
    made.add_argument("--longest", type=int, default=LENGTHS[-1], help="stop at so many scenes")
    arguments = made.parse_args()
    with server_url(arguments) as url:
        await migrations.upgrade(url)
        curves = await measure(url, arguments)
        result = {"milliseconds": curves} | await describe(url)
    if arguments.svg:
        draw(curves, f"PostgreSQL {result['server_version']}, fsync {result['fsync']}", arguments.svg)
    print(json.dumps(result) if arguments.json else table(curves))


async def measure(url: str, arguments: argparse.Namespace) -> dict[str, dict[int, float]]:
    """Return the median of each call at each length."""
    curves: dict[str, dict[int, float]] = {}
    scenes = sample_scenes()
    async with LivingWorld.open(Settings.load(database_url=url)) as livingworld:
        world = await livingworld.worlds.create("benchmark")
        story_id = (await world.stories.create("The long one")).id
        await world.characters.get_or_create("Mara")
        stored = 0
        for length in (length for length in LENGTHS if length <= arguments.longest):
            await grow(world, story_id, scenes, length - stored)
            for name, call in calls(world, story_id, scenes).items():
                curves.setdefault(name, {})[length] = round(await median_ms(call), 3)
            stored = (await world.stories.head(story_id)).branch.length
    return curves


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


async def median_ms(call: Call) -> float:
    """Return how long the call takes."""
    durations = []
    for _ in range(TIMES):
        started = time.perf_counter()
        await call()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations) * 1000


def table(curves: dict[str, dict[int, float]]) -> str:
    """Return the medians for a person."""
    lengths = list(next(iter(curves.values())))
    lines = ["milliseconds at  " + "".join(f"{length:>10,}" for length in lengths)]
    lines += [f"{name:<17}" + "".join(f"{row[length]:>10.2f}" for length in lengths) for name, row in curves.items()]
    return "\n".join(lines)


def draw(curves: dict[str, dict[int, float]], title: str, path: Path) -> None:
    """Write the curves as SVG."""
    import matplotlib as mpl  # noqa: PLC0415 - only who draws needs it

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "livingworld", "svg.fonttype": "none"}
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for name, row in curves.items():
        axes.plot(list(row), list(row.values()), marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel="scenes of the story", ylabel="milliseconds, median", title=title)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="upper left", fontsize="small")
    metadata: Any = {"Date": None}
    figure.savefig(path, metadata=metadata)


if __name__ == "__main__":
    asyncio.run(main())
