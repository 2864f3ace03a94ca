"""What following costs: 1,000 followers of one story, 1,000 subscriptions that begin together, 100 worlds at rest.

    followers1000    event_ms: from an append's answer to the last of 1,000 followers in its process, p50 and p99, at
                     20 appends a second; append_ratio: appends a second beside 1,000 followers by those beside none,
                     by one task and by 16, without a pause, in rounds that take turns: followers who take batches, and
                     followers who iterate over single events
    subscribe1000    seconds until 1,000 stories are followed: begun at once, and one after the other
    idle100          transactions a second of a process that follows 100 stories in 100 worlds where nothing happens

Each follower counts what it receives; at the end all have received everything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from contextlib import AsyncExitStack
from typing import Final
from uuid import UUID

from scenes import sample_scenes
from servers import describe, parser, server_url

from livingworld import LivingWorld, NewScene, Settings, Subscription, World
from livingworld.postgres import migrations
from livingworld.testing.staged_races import connected

FOLLOWERS: Final = 1_000
SCENE: Final = next(sample_scenes())
WORLDS: Final = 100
PACED_SECONDS: Final = 0.05
#: The pauses between polls have grown to their longest by then.
SETTLED_SECONDS: Final = 10


async def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--appends", type=int, default=800, help="in each round, beside followers and beside none")
    made.add_argument("--idle-seconds", type=float, default=20)
    arguments = made.parse_args()
    with server_url(arguments) as url:
        await migrations.upgrade(url)
        result = {
            "followers1000": await followers(url, arguments),
            "subscribe1000": await subscribing(url),
            "idle100": {"transactions": await idle(url, arguments.idle_seconds)},
            "rounds": arguments.rounds,
            "python": sys.version.split()[0],
        } | await describe(url)
    print(json.dumps(result, indent=None if arguments.json else 2))


class Followers:
    """The followers of one story in this process."""

    def __init__(self, world: World, story_id: UUID, *, in_batches: bool) -> None:
        self._world = world
        self._story_id = story_id
        self._follow = self._take_batches if in_batches else self._iterate
        self._received = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._all = asyncio.Event()
        self._expected = 0

    async def begin(self, stack: AsyncExitStack) -> None:
        """Follow, each by a task of its own."""
        entering = (self._world.live.subscribe(story=self._story_id) for _ in range(FOLLOWERS))
        events = await asyncio.gather(*map(stack.enter_async_context, entering))
        self._tasks = [asyncio.create_task(self._follow(each)) for each in events]

    async def _iterate(self, events: Subscription) -> None:
        async for _ in events:
            self._received += 1
            if self._received == self._expected:
                self._all.set()

    async def _take_batches(self, events: Subscription) -> None:
        while batch := await events.batch():
            self._received += len(batch)
            if self._received == self._expected:
                self._all.set()

    async def have_received(self, count: int) -> None:
        """Wait until all have received so many events."""
        self._expected = count * FOLLOWERS
        self._all.clear()
        if self._received < self._expected:
            await self._all.wait()
        assert self._received == self._expected, "an event was lost or came twice"


async def followers(url: str, arguments: argparse.Namespace) -> dict[str, object]:
    """Return how soon events are on all followers, and what that does to the rate of appends."""
    async with (
        LivingWorld.open(Settings.load(database_url=url, pool_size=16)) as livingworld,
        AsyncExitStack() as stack,
    ):
        world = await livingworld.worlds.create("benchmark")
        alone = (await world.stories.create("benchmark")).id
        followed = {}
        for name in ("batches", "single_events"):
            story_id = (await world.stories.create("benchmark")).id
            followed[story_id] = name, Followers(world, story_id, in_batches=name == "batches")
            await followed[story_id][1].begin(stack)
        first, (_, here) = next(iter(followed.items()))
        latencies = [await latency(world, first, here, number) for number in range(1, 101)]
        counts = dict.fromkeys(followed, 0) | {first: len(latencies)}
        ratios: dict[str, dict[str, float]] = {name: {} for name, _ in followed.values()}
        for load, tasks in {"serial1": 1, "hot16": 16}.items():
            rates: dict[UUID, list[float]] = {story_id: [] for story_id in (*followed, alone)}
            for _ in range(arguments.rounds):
                for story_id, measured in rates.items():
                    measured.append(await rate(world, story_id, tasks, arguments.appends))
                    if story_id in followed:
                        counts[story_id] += arguments.appends // tasks * tasks
                        await followed[story_id][1].have_received(counts[story_id])
            for story_id, (name, _) in followed.items():
                ratio = statistics.median(rates[story_id]) / statistics.median(rates[alone])
                ratios[name][load] = round(ratio, 2)
    quantiles = statistics.quantiles(latencies, n=100)
    event_ms = {"p50": round(quantiles[49], 1), "p99": round(quantiles[98], 1)}
    return {"event_ms": event_ms, "append_ratio": ratios}


async def latency(world: World, story_id: UUID, here: Followers, number: int) -> float:
    """Return the milliseconds from an append's answer to the last follower."""
    await asyncio.sleep(PACED_SECONDS)
    await world.stories.append_scene(story_id, NewScene(SCENE.content, SCENE.choices))
    committed = time.perf_counter()
    await here.have_received(number)
    return (time.perf_counter() - committed) * 1000


async def rate(world: World, story_id: UUID, tasks: int, count: int) -> float:
    """Return appends a second to one story."""

    async def writer() -> None:
        for _ in range(count // tasks):
            await world.stories.append_scene(story_id, NewScene(SCENE.content, SCENE.choices))

    began = time.perf_counter()
    await asyncio.gather(*(writer() for _ in range(tasks)))
    return count // tasks * tasks / (time.perf_counter() - began)


async def subscribing(url: str) -> dict[str, float]:
    """Return the seconds until 1,000 stories are followed for the first time."""
    result = {}
    async with LivingWorld.open(database_url=url) as livingworld, AsyncExitStack() as stack:
        world = await livingworld.worlds.create("benchmark")
        for name in ("together", "in_turn"):
            story_ids = await create_stories(world)
            entering = [stack.enter_async_context(world.live.subscribe(story=story_id)) for story_id in story_ids]
            began = time.perf_counter()
            if name == "together":
                await asyncio.gather(*entering)
            else:
                for each in entering:
                    await each
            result[name] = round(time.perf_counter() - began, 2)
    return result


async def create_stories(world: World) -> list[UUID]:
    """Create a story for each follower, a few at a time."""
    story_ids: list[UUID] = []
    while len(story_ids) < FOLLOWERS:
        created = await asyncio.gather(*(world.stories.create("x") for _ in range(10)))
        story_ids += [story.id for story in created]
    return story_ids


async def idle(url: str, seconds: float) -> float:
    """Return the transactions a second of a process that only follows."""
    async with LivingWorld.open(database_url=url) as livingworld, AsyncExitStack() as stack:
        for _ in range(WORLDS):
            world = await livingworld.worlds.create("benchmark")
            story = await world.stories.create("x")
            await stack.enter_async_context(world.live.subscribe(story=story.id))
        await asyncio.sleep(SETTLED_SECONDS)
        before = await transactions(url)
        await asyncio.sleep(seconds)
        return round((await transactions(url) - before - 1) / seconds, 2)


async def transactions(url: str) -> int:
    """Return how many transactions the database has committed; asking is one of them."""
    async with connected(url) as connection:
        count: int = await connection.fetchval(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        )
    return count


if __name__ == "__main__":
    asyncio.run(main())
