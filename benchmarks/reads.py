"""How many small reads a second: livingworld's public API beside hand-written asyncpg.

One run, one server, rounds in which the two take turns, the median of the rounds. Both read the same rows of the same
story and make dataclasses of them.

    head            the story, its branch and its last scene
    recent20        the last 20 scenes of 1,300 bytes, each with three choices and a cast
    get_or_create   a character that is there, by its name

Each once by one task alone and once by 16 tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final
from uuid import UUID

from peers.asyncpg_reads import HandWrittenReads
from servers import describe, parser, server_url

from livingworld import LivingWorld, NewScene, Settings, World
from livingworld.postgres import migrations

TASKS: Final = 16
SCENES: Final = 40
WORDS: Final = [
    "tide",
    "causeway",
    "lantern",
    "marsh",
    "oar",
    "gull",
    "salt",
    "bell",
    "rope",
    "winter",
    "fog",
    "tallow",
]
WARM_UP: Final = 50
Read = Callable[[], Awaitable[object]]


async def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--reads", type=int, default=1600, help="in each round, by each of the two")
    arguments = made.parse_args()
    with server_url(arguments) as url:
        await migrations.upgrade(url)
        result = await measure(url, arguments) | await describe(url)
    print(json.dumps(result) if arguments.json else table(result))


async def measure(url: str, arguments: argparse.Namespace) -> dict[str, object]:
    """Return reads a second by what is read, for one task and for 16: the medians of all rounds."""
    rates: dict[str, dict[str, list[float]]] = {}
    async with contestants(url) as reads:
        for _ in range(arguments.rounds):
            for what, by in reads.items():
                for tasks in (1, TASKS):
                    for name, read in by.items():
                        rate = await one_round(read, tasks, arguments.reads // (1 if tasks > 1 else 4))
                        shape = what if tasks == 1 else f"{what}_{tasks}"
                        rates.setdefault(shape, {}).setdefault(name, []).append(rate)
    medians: dict[str, object] = {
        shape: {name: round(statistics.median(values)) for name, values in row.items()} for shape, row in rates.items()
    }
    return medians | {"rounds": arguments.rounds, "python": sys.version.split()[0]}


@contextlib.asynccontextmanager
async def contestants(url: str) -> AsyncIterator[dict[str, dict[str, Read]]]:
    """Open the two on one story."""
    settings = Settings.load(database_url=url, pool_size=TASKS)
    async with LivingWorld.open(settings) as livingworld, HandWrittenReads(url, TASKS) as sql:
        world = await livingworld.worlds.create("benchmark")
        story_id = await fill(world)
        stories, characters = world.stories, world.characters
        yield {
            "head": {
                "livingworld": lambda: stories.head(story_id),
                "asyncpg": lambda: sql.head(world.id, story_id),
            },
            "recent20": {
                "livingworld": lambda: stories.recent(story_id, 20),
                "asyncpg": lambda: sql.recent(world.id, story_id, 20),
            },
            "get_or_create": {
                "livingworld": lambda: characters.get_or_create("Mara"),
                "asyncpg": lambda: sql.character(world.id, "mara"),
            },
        }


async def fill(world: World) -> UUID:
    """Store the story that is read, and return its id."""
    story = await world.stories.create("The Causeway", premise="A lantern on the wrong side of the water.")
    for _ in range(SCENES):
        text = " ".join(random.choices(WORDS, k=300))[:1300]
        await world.stories.append_scene(story.id, NewScene(text, ["Wade across", "Wait", "Call out"], ["Mara"]))
    return story.id


async def one_round(read: Read, tasks: int, count: int) -> float:
    """Return reads a second of one contestant."""

    async def reader(reads: int) -> None:
        for _ in range(reads):
            assert await read()

    await asyncio.gather(*(reader(WARM_UP) for _ in range(tasks)))
    started = time.perf_counter()
    await asyncio.gather(*(reader(count // tasks) for _ in range(tasks)))
    return count // tasks * tasks / (time.perf_counter() - started)


def table(result: dict[str, object]) -> str:
    """Return the result for a person."""
    lines = [f"{'reads a second':<18}{'livingworld':>12}{'asyncpg':>12}{'ratio':>8}"]
    for shape, row in result.items():
        if isinstance(row, dict):
            ratio = row["livingworld"] / row["asyncpg"]
            lines.append(f"{shape:<18}{row['livingworld']:>12,}{row['asyncpg']:>12,}{ratio:>8.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    asyncio.run(main())
