"""What is open and at rest: the memory of 10,000 worlds and of 1,000 subscriptions, and the transactions a second.

    worlds          kilobytes of a World object that is kept, and microseconds to make it
    subscriptions   kilobytes of one of 1,000 subscriptions to 1,000 stories, and the seconds until all are open
    idle            transactions a second that the database commits while all of that is open and nothing happens

Kilobytes are those of the process (resident), before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from contextlib import AsyncExitStack
from typing import Any, Final
from uuid import UUID

import psutil  # type: ignore[import-untyped]
from live import SETTLED_SECONDS, transactions
from servers import describe, parser, server_url
from targets import at_most

from livingworld import LivingWorld, Settings, World
from livingworld.postgres import migrations
from livingworld.testing.staged_races import connected

_AT_ONCE: Final = 16
#: As worlds.create and stories.create store them; what is measured is the process.
_WORLDS: Final = (
    "INSERT INTO livingworld.worlds (world_id, name) SELECT gen_random_uuid(), 'w' FROM generate_series(1, $1)"
)


async def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--worlds", type=int, default=10_000)
    made.add_argument("--subscriptions", type=int, default=1_000)
    made.add_argument("--idle-seconds", type=float, default=20)
    arguments = made.parse_args()
    with server_url(arguments) as url:
        await migrations.upgrade(url)
        result = await measure(url, arguments) | await describe(url)
    print(json.dumps(result, indent=None if arguments.json else 2))


async def measure(url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what each costs."""
    async with (
        LivingWorld.open(Settings.load(database_url=url, pool_size=_AT_ONCE)) as livingworld,
        AsyncExitStack() as stack,
    ):
        world = await livingworld.worlds.create("benchmark")
        await world.stories.create("the first, which loads what all need")
        kept, worlds = await open_worlds(livingworld, await ids_of(url, arguments.worlds))
        subscriptions = await subscribe(world, stack, arguments.subscriptions)
        await asyncio.sleep(SETTLED_SECONDS)
        before = await transactions(url)
        await asyncio.sleep(arguments.idle_seconds)
        idle = round((await transactions(url) - before - 1) / arguments.idle_seconds, 2)
        assert len(kept) == arguments.worlds
    return {"worlds": worlds, "subscriptions": subscriptions, "idle": at_most(idle, 1)}


async def ids_of(url: str, count: int) -> list[UUID]:
    """Store so many worlds, and return their ids."""
    async with connected(url) as connection:
        await connection.execute(_WORLDS, count)
        rows = await connection.fetch("SELECT world_id FROM livingworld.worlds LIMIT $1", count)
    return [UUID(int=row["world_id"].int) for row in rows]


async def open_worlds(livingworld: LivingWorld, ids: list[UUID]) -> tuple[list[World], dict[str, Any]]:
    """Open worlds, and return them with what one costs."""
    before, began = resident_kilobytes(), time.process_time()
    kept: list[World] = []
    for start in range(0, len(ids), _AT_ONCE):
        kept += await asyncio.gather(*(livingworld.worlds.get(each) for each in ids[start : start + _AT_ONCE]))
    spent = (time.process_time() - began) / len(ids) * 1e6
    return kept, {
        "count": len(ids),
        "kilobytes_each": at_most(round((resident_kilobytes() - before) / len(ids), 1), 15),
        "cpu_us_each": round(spent),
    }


async def subscribe(world: World, stack: AsyncExitStack, count: int) -> dict[str, Any]:
    """Follow so many stories, and return what one costs."""
    stories: list[UUID] = []
    while len(stories) < count:
        stories += [each.id for each in await asyncio.gather(*(world.stories.create("x") for _ in range(_AT_ONCE)))]
    before, began = resident_kilobytes(), time.perf_counter()
    entering = (world.live.subscribe(story=story_id) for story_id in stories[:count])
    await asyncio.gather(*map(stack.enter_async_context, entering))
    seconds = time.perf_counter() - began
    return {
        "count": count,
        "kilobytes_each": at_most(round((resident_kilobytes() - before) / count, 1), 20),
        "seconds": at_most(round(seconds, 2), 5),
    }


def resident_kilobytes() -> float:
    """Return the memory of this process."""
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1024


if __name__ == "__main__":
    asyncio.run(main())
