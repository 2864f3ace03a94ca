"""Ten times the tasks that saturate: what is still done, how long it takes, and how the rest is refused.

    saturated   256 tasks append to 64 stories
    overloaded  2,560 tasks do, each call within its deadline; all wait
    refused     2,560 tasks do, while at most 1,000 calls may wait in the process; who is refused tries the same scene
                again after about a second

In rounds that take turns. `rate_ratio` is what is stored a second by what the saturated store; `p99_ms` is of the calls
that succeeded, of the worst round; `answered_within_ms` is the longest that any call took, refused ones included;
`refused` counts refusals by the name of their error. Everything that was stored is counted afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from scenes import sample_scenes
from servers import describe, parser, server_url
from targets import at_least, at_most

from livingworld import LivingWorld, NewScene, Settings, World, deadline
from livingworld.errors import LivingWorldError
from livingworld.postgres import migrations

STORIES: Final = 64
TIMES: Final = 10
#: A call may end so much later than its deadline: its refusal has to be raised while all others are too.
_GRACE_MS: Final = 250
_SCENES: Final = sample_scenes()


@dataclass
class Load:
    """What a round of one load did."""

    milliseconds: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    #: Scenes that were answered before the end of the round: who was refused sleeps beyond it.
    in_time: int = 0
    rate: float = 0.0

    def p99(self) -> float:
        """Return the 99th percentile of the calls that succeeded."""
        return statistics.quantiles(self.milliseconds, n=100)[98] if len(self.milliseconds) > 1 else 0.0


async def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--tasks", type=int, default=256, help="that saturate")
    made.add_argument("--queue-limit", type=int, default=1_000, help="most calls that wait, where some are refused")
    made.add_argument("--deadline", type=float, default=2.0, help="of one call, in seconds")
    arguments = made.parse_args()
    with server_url(arguments) as url:
        await migrations.upgrade(url)
        result = await measure(url, arguments) | await describe(url)
    print(json.dumps(result, indent=None if arguments.json else 2))


async def measure(url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the results of all rounds."""
    rounds: dict[str, list[Load]] = {"saturated": [], "overloaded": [], "refused": []}
    async with AsyncExitStack() as stack:
        wide, narrow = [
            await stack.enter_async_context(
                LivingWorld.open(Settings.load(database_url=url, pool_size=16, queue_limit=limit))
            )
            for limit in (10_000_000, arguments.queue_limit)
        ]
        world = await wide.worlds.create("benchmark")
        worlds = {"saturated": world, "overloaded": world, "refused": await narrow.worlds.get(world.id)}
        for each in worlds.values():  # connections are opened, statements prepared
            await one_round(each, min(arguments.tasks, arguments.queue_limit), arguments)
        for _, (name, done) in itertools.product(range(arguments.rounds), rounds.items()):
            tasks = arguments.tasks * (1 if name == "saturated" else TIMES)
            done.append(await one_round(worlds[name], tasks, arguments))
    saturated = statistics.median(each.rate for each in rounds["saturated"])
    return {name: report(rounds[name], saturated, arguments.deadline * 1000) for name in ("overloaded", "refused")} | {
        "rates": {name: [round(each.rate) for each in done] for name, done in rounds.items()},
        "p99_saturated_ms": round(max(each.p99() for each in rounds["saturated"]), 1),
    }


def report(done: list[Load], saturated: float, limit: float) -> dict[str, Any]:
    """Return what the rounds of a load show, beside the targets."""
    ratio = statistics.median(each.rate for each in done) / saturated
    return {
        "rate_ratio": at_least(round(ratio, 2), 0.9),
        "p99_ms": at_most(round(max(each.p99() for each in done), 1), limit),
        "answered_within_ms": at_most(round(max(each.longest for each in done), 1), limit + _GRACE_MS),
        "refused": dict(sum((each.refused for each in done), Counter())),
    }


async def one_round(world: World, tasks: int, arguments: argparse.Namespace) -> Load:
    """Have so many tasks append, and return what came of it; fails when a scene is missing or there is one too many."""
    stories: list[UUID] = []
    while len(stories) < STORIES:
        stories += [each.id for each in await asyncio.gather(*(world.stories.create("benchmark") for _ in range(8)))]
    load = Load()
    began = time.perf_counter()
    await asyncio.gather(*(writer(world, stories[number % STORIES], load, began, arguments) for number in range(tasks)))
    load.rate = load.in_time / arguments.seconds
    await check(world, stories, len(load.milliseconds), load.refused["CommitUnknown"])
    return load


async def writer(world: World, story_id: UUID, load: Load, began: float, arguments: argparse.Namespace) -> None:
    """Append until the round is over."""
    given, end = next(_SCENES), began + arguments.seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        try:
            with deadline(timedelta(seconds=arguments.deadline)):
                await world.stories.append_scene(story_id, NewScene(given.content, given.choices))
        except LivingWorldError as error:
            load.refused[type(error).__name__] += 1
            load.longest = max(load.longest, (time.perf_counter() - started) * 1000)
            await asyncio.sleep(random.uniform(0.5, 1.5))
        else:
            load.milliseconds.append((time.perf_counter() - started) * 1000)
            load.longest = max(load.longest, load.milliseconds[-1])
            load.in_time += time.perf_counter() <= end
            given = next(_SCENES)


async def check(world: World, stories: Sequence[UUID], expected: int, unknown: int) -> None:
    """Fail unless every answered append is stored, and nothing else but what is said to be unknown."""
    stored = sum([(await world.stories.get(story_id)).scene_count for story_id in stories])
    assert expected <= stored <= expected + unknown, f"{stored} scenes are stored, {expected} were answered"


if __name__ == "__main__":
    asyncio.run(main())
