"""How many scenes a second: livingworld's public API beside hand-written asyncpg and beside the ORM pattern.

One run, one server, rounds in which the three take turns, the median of the rounds. Each appends the same scene with
three choices to stories of its own on the same tables, keeps the same counters, and is checked by SQL afterwards.

    spread16    16 tasks, each on a story of its own
    hot16       16 tasks on one story
    serial1     1 task on one story

The server is a private one in memory where there is room, with fsync off, so that what differs is the work and not the
disk; --durable puts it on disk with fsync on, --database-url names another one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

from benchmark_asyncpg import HandWritten
from benchmark_orm import OrmPattern

from livingworld import LivingWorld, NewScene, Settings, World
from livingworld.embedded_server import EmbeddedServer
from livingworld.postgres import migrations

TASKS: Final = 16
CONTENT: Final = "The tide came in over the causeway, and nobody had lit the lamp. " * 8
CHOICES: Final = ("Wade across", "Wait for the ebb", "Call out to the far side")
WARM_UP: Final = 20
Append = Callable[[UUID], Awaitable[object]]


async def main() -> None:
    """Measure and print."""
    arguments = parse()
    with server_url(arguments) as url:
        await migrations.upgrade(url)
        result = await measure(url, arguments)
    print(json.dumps(result) if arguments.json else table(result))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--appends", type=int, default=1600, help="in each round, by each of the three")
    parser.add_argument("--durable", action="store_true", help="fsync on, on disk")
    parser.add_argument("--database-url")
    return parser.parse_args()


@contextlib.contextmanager
def server_url(arguments: argparse.Namespace) -> Iterator[str]:
    """Give a database to measure on, and remove the private one."""
    if arguments.database_url:
        yield arguments.database_url
        return
    memory = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
    where = memory if memory.is_dir() and not arguments.durable else None
    with tempfile.TemporaryDirectory(prefix="livingworld-benchmark-", dir=where) as home:
        os.chmod(home, 0o755)  # noqa: PTH101, S103 - the user that PostgreSQL runs as has to get in
        with EmbeddedServer(Path(home), durable=arguments.durable, conf={"autovacuum": "off"}) as server:
            yield server.url()


async def measure(url: str, arguments: argparse.Namespace) -> dict[str, object]:
    """Return appends a second by shape and contestant: the medians of all rounds."""
    rates: dict[str, dict[str, list[float]]] = {}
    async with contestants(url) as (world, appends):
        for _ in range(arguments.rounds):
            for shape in ("spread16", "hot16", "serial1"):
                for name, append in appends.items():
                    count = arguments.appends if shape != "serial1" else arguments.appends // 4
                    rate = await one_round(world, append, shape, count)
                    rates.setdefault(shape, {}).setdefault(name, []).append(rate)
    medians: dict[str, object] = {
        shape: {name: round(statistics.median(values)) for name, values in row.items()} for shape, row in rates.items()
    }
    return medians | {"rounds": arguments.rounds, "fsync": bool(arguments.durable), "python": sys.version.split()[0]}


@contextlib.asynccontextmanager
async def contestants(url: str) -> AsyncIterator[tuple[World, dict[str, Append]]]:
    """Open the three on one world."""
    settings = Settings.load(database_url=url, pool_size=TASKS)
    async with LivingWorld.open(settings) as livingworld, OrmPattern(url, TASKS) as orm, HandWritten(url, TASKS) as sql:
        world = await livingworld.worlds.create("benchmark")

        async def append_scene(story_id: UUID) -> object:
            return await world.stories.append_scene(story_id, NewScene(CONTENT, CHOICES))

        yield (
            world,
            {
                "livingworld": append_scene,
                "asyncpg": lambda story_id: sql.append(world.id, story_id, CONTENT, CHOICES),
                "orm": lambda story_id: orm.append(world.id, story_id, CONTENT, CHOICES),
            },
        )


async def one_round(world: World, append: Append, shape: str, count: int) -> float:
    """Return appends a second of one contestant on new stories; what it stored is checked."""
    tasks = 1 if shape == "serial1" else TASKS
    stories = [(await world.stories.create(shape)).id for _ in range(TASKS if shape == "spread16" else 1)]

    async def writer(number: int, appends: int) -> None:
        for _ in range(appends):
            await append(stories[number % len(stories)])

    await asyncio.gather(*(writer(number, WARM_UP) for number in range(tasks)))
    started = time.perf_counter()
    await asyncio.gather(*(writer(number, count // tasks) for number in range(tasks)))
    elapsed = time.perf_counter() - started
    await check(world, stories, tasks * WARM_UP + count // tasks * tasks)
    return count // tasks * tasks / elapsed


async def check(world: World, stories: list[UUID], expected: int) -> None:
    """Fail unless every append is there: a fast contestant that loses scenes has not won."""
    heads = [await world.stories.head(story) for story in stories]
    stored = sum(head.branch.length for head in heads)
    assert stored == expected, f"{stored} of {expected} scenes on the path"
    assert all(head.scene and head.scene.number == head.story.scene_count for head in heads)


def table(result: dict[str, object]) -> str:
    """Return the result for a person."""
    lines = [f"{'appends a second':<18}{'livingworld':>12}{'asyncpg':>12}{'orm':>12}"]
    for shape, row in result.items():
        if isinstance(row, dict):
            lines.append(f"{shape:<18}{row['livingworld']:>12,}{row['asyncpg']:>12,}{row['orm']:>12,}")
    return "\n".join(lines)


if __name__ == "__main__":
    asyncio.run(main())
