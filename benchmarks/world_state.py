"""What world state costs as a story grows: turns that bring it, its context, all facts of a path, and recall.

    turns    medians of taking a turn (with its context) and of committing it with 5 cast members, 10 facts,
             5 relationship changes and 5 memories, in stories of 100, 1,000 and 20,000 scenes that did so too
    facts    median of reading all facts of a path of 20,000 scenes over 300 ranges of timelines, 50 facts
    recall   median of the 10 nearest of 5,000 visible memories with 384 numbers each

All in milliseconds, one task, one connection's round trips included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from servers import parser, server_url

from livingworld import LivingWorld, NewMemory, NewScene, NewState, RelationshipChange, Settings, Story, Subject, World
from livingworld.postgres import migrations
from livingworld.testing.staged_races import connected

LENGTHS: Final = (100, 1_000, 20_000)
CAST: Final = ("Mara", "Tom", "Ann", "Ida", "Joe")
FACTS: Final = 50
RANGES: Final = 300
MEMORIES: Final = 5_000
DIMENSIONS: Final = 384
TIMES: Final = 40
_LOAD: Final = (
    """
    INSERT INTO livingworld.fact_names (world_id, story_id, subject, attribute, last_version)
    SELECT $1, $2, '=subject ' || n, 'mood', $3::integer FROM generate_series(1, 50) n
    """,
    """
    INSERT INTO livingworld.facts
        (world_id, story_id, subject, attribute, timeline_number, position, version, scene_number, value)
    SELECT $1, $2, '=subject ' || 1 + (s.scene_number + n) % 50, 'mood', s.timeline_number, s.position, s.scene_number,
           s.scene_number, '"calm"'
    FROM livingworld.scenes s CROSS JOIN generate_series(0, 4) n
    WHERE s.world_id = $1 AND s.story_id = $2 AND $3::integer > 0
    """,
    """
    INSERT INTO livingworld.memories
        (world_id, memory_id, story_id, timeline_number, position, scene_number, kind, content, digest, private,
         importance, valence)
    SELECT $1, gen_random_uuid(), $2, s.timeline_number, s.position, s.scene_number, 'event',
           'memory ' || s.scene_number, sha256(convert_to('memory ' || s.scene_number, 'UTF8')), false, 0.5, 0
    FROM livingworld.scenes s WHERE s.world_id = $1 AND s.story_id = $2 AND $3::integer > 0
    """,
)


async def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__).parse_args()
    with server_url(arguments) as url:
        await migrations.upgrade(url)
        result = await measure(url, arguments)
    print(json.dumps(result) if arguments.json else table(result))


async def measure(url: str, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return medians in milliseconds."""
    settings = Settings.load(database_url=url, pool_size=16)
    result: dict[str, dict[str, float]] = {}
    async with LivingWorld.open(settings) as livingworld:
        world = await livingworld.worlds.create("benchmark")
        for length in LENGTHS:
            story = await grown_story(url, world, length, forks=0)
            result[f"turns {length}"] = await turns(world, story, arguments.rounds * 8)
        forked = await grown_story(url, world, LENGTHS[-1], forks=RANGES)
        result["facts"] = {"all": await median(lambda: world.facts.all(forked.id))}
        result["recall"] = {"nearest 10": await recall(world)}
    return result


async def grown_story(url: str, world: World, length: int, *, forks: int) -> Story:
    """Return a story of so many scenes on its path, each of which set five facts and left a memory."""
    story = await world.stories.create(f"{length}")
    for piece in range(forks or 1):
        if piece:
            await world.branches.undo(story.id)
        scenes = length // (forks or 1) + bool(piece)
        for begun in range(0, scenes, 64):
            several = range(min(64, scenes - begun))
            await asyncio.gather(*(world.stories.append_scene(story.id, NewScene("x")) for _ in several))
    async with connected(url) as connection:
        for statement in _LOAD:
            await connection.execute(statement, world.id, story.id, length * 2)
        await connection.execute("ANALYZE")
    return story


async def turns(world: World, story: Story, times: int) -> dict[str, float]:
    """Return the medians of take and commit."""
    took, committed = [], []
    for number in range(times):
        began = time.perf_counter()
        async with world.turns.take(story.id, request_key=f"{number}") as turn:
            assert len(turn.context.facts) >= FACTS
            taken = time.perf_counter()
            await turn.commit(NewScene("The tide came in. " * 20, ["on"], CAST), state(number))
            committed.append(time.perf_counter() - taken)
        took.append(taken - began)
    return {"take": milliseconds(took), "commit": milliseconds(committed)}


def state(number: int) -> NewState:
    """Return what a lively scene brings."""
    return NewState(
        facts={(Subject(f"subject {n}"), "mood"): f"mood {number}" for n in range(10)},
        relationships=[RelationshipChange(name, "Tom" if name != "Tom" else "Mara", trust=0.01) for name in CAST],
        memories=[NewMemory(f"{name} saw the tide of day {number}", name) for name in CAST],
    )


async def recall(world: World) -> float:
    """Return the median of recall by a vector."""
    story = await world.stories.create("remembered")
    chance = random.Random(1)
    for begin in range(0, MEMORIES, 500):
        await world.memories.add(
            story.id,
            [
                NewMemory(f"memory {number}", vector=vector(chance), embedder="benchmark")
                for number in range(begin, begin + 500)
            ],
        )
    query = vector(chance)
    return await median(lambda: world.memories.recall(story.id, query, embedder="benchmark"))


def vector(chance: random.Random) -> list[float]:
    """Return a vector in any direction."""
    return [chance.gauss(0, 1) for _ in range(DIMENSIONS)]


async def median(call: Callable[[], Awaitable[Any]]) -> float:
    """Return the median of calling it, in milliseconds."""
    elapsed = []
    for _ in range(TIMES):
        began = time.perf_counter()
        assert await call()
        elapsed.append(time.perf_counter() - began)
    return milliseconds(elapsed)


def milliseconds(seconds: list[float]) -> float:
    """Return the median in milliseconds."""
    return round(statistics.median(seconds) * 1000, 2)


def table(result: dict[str, dict[str, float]]) -> str:
    """Return the result for a person."""
    return "\n".join(
        f"{name:<16}" + "".join(f"{part:>12}{value:>10,.2f} ms" for part, value in row.items())
        for name, row in result.items()
    )


if __name__ == "__main__":
    asyncio.run(main())
