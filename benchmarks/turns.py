"""How many whole turns a second, with a model that takes no time, beside bare appends in the same run.

A turn is taken (lease, record, context of the last scenes), its context is read, and it is committed (scene,
generation, end of the lease): two statements where an append is one. Rounds in which both take turns; the median.

    spread16    16 tasks, each on a story of its own
    serial1     1 task on one story
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from append import CHOICES, CONTENT, TASKS, WARM_UP, check, parse, server_url

from livingworld import LivingWorld, NewScene, Settings, Turn, World
from livingworld.postgres import migrations

SHAPES: Final = {"spread16": TASKS, "serial1": 1}
Tell = Callable[[World, UUID, str], Awaitable[object]]


async def main() -> None:
    """Measure and print."""
    arguments = parse()
    with server_url(arguments) as url:
        await migrations.upgrade(url)
        result = await measure(url, arguments)
    print(json.dumps(result) if arguments.json else table(result))


async def measure(url: str, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return turns and appends a second by shape, the medians of all rounds, and the share of the one in the other."""
    rates: dict[str, dict[str, list[float]]] = {shape: {"append": [], "turn": []} for shape in SHAPES}
    async with LivingWorld.open(Settings.load(database_url=url, pool_size=TASKS)) as livingworld:
        world = await livingworld.worlds.create("benchmark")
        for _ in range(arguments.rounds):
            for shape, tasks in SHAPES.items():
                for name, tell in {"append": append, "turn": turn}.items():
                    rates[shape][name].append(await one_round(world, tell, tasks, arguments.appends // 4 * tasks // 4))
    medians = {shape: {name: statistics.median(row[name]) for name in row} for shape, row in rates.items()}
    return {
        shape: {**{name: round(rate) for name, rate in row.items()}, "share": round(row["turn"] / row["append"], 2)}
        for shape, row in medians.items()
    }


async def append(world: World, story_id: UUID, _: str) -> object:
    """Append a scene."""
    return await world.stories.append_scene(story_id, NewScene(CONTENT, CHOICES))


async def turn(world: World, story_id: UUID, key: str) -> object:
    """Play a whole turn."""
    return await world.turns.play(story_id, write, request_key=key)


async def write(turn: Turn) -> NewScene:
    """Read the context, as a prompt would, and answer at once."""
    assert len(turn.context.recent) <= turn.context.head
    return NewScene(CONTENT, CHOICES)


async def one_round(world: World, tell: Tell, tasks: int, count: int) -> float:
    """Return how many scenes a second are told on new stories; what is stored is checked."""
    stories = [(await world.stories.create("round")).id for _ in range(tasks)]

    async def writer(story_id: UUID, first: int, scenes: int) -> None:
        for number in range(first, first + scenes):
            await tell(world, story_id, f"{number}")

    each = max(1, count // tasks)
    await asyncio.gather(*(writer(story_id, 0, WARM_UP) for story_id in stories))
    started = time.perf_counter()
    await asyncio.gather(*(writer(story_id, WARM_UP, each) for story_id in stories))
    elapsed = time.perf_counter() - started
    await check(world, stories, tasks * (WARM_UP + each))
    return tasks * each / elapsed


def table(result: dict[str, dict[str, float]]) -> str:
    """Return the result for a person."""
    lines = [f"{'a second':<12}{'turns':>10}{'appends':>10}{'share':>8}"]
    for shape, row in result.items():
        lines.append(f"{shape:<12}{row['turn']:>10,}{row['append']:>10,}{row['share']:>8}")
    return "\n".join(lines)


if __name__ == "__main__":
    asyncio.run(main())
