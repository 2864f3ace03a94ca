"""Reads among very much: recall, lore, search of a common word, and the context of a turn. Medians in milliseconds.

    recall    the 10 first of so many visible memories: by a vector of 384 numbers (in 300 clusters) with an index of
              them, where the server has pgvector, and without one by a vector and by words
    lore      a text of 1,300 characters among so many entries
    search    a word that most of so many scenes have
    context   taking a turn at the end of that many scenes, with 5 who appear, 50 facts and memories, its context built

One task. Without an index of vectors a recall compares at most 10,000 candidates, a bounded cost without a target;
`is_cut` says when there were more. `indexed in` is the time that the index took, in seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

from growth import grow
from scenes import sample_scenes
from servers import describe, parser, server_url
from sqlalchemy import make_url
from targets import at_most
from world_state import CAST, state

from livingworld import LivingWorld, NewLoreEntry, NewMemory, NewScene, Settings, World
from livingworld.errors import InvalidInput
from livingworld.postgres import migrations
from livingworld.story.memories.nearest_index import index_memories
from livingworld.testing.staged_races import connected

TARGETS_MS: Final = {"recall": 25, "lore": 10, "search": 50, "context": 25}
#: Embeddings lie in clusters; uniform vectors of many numbers are all equally far from each other. As in the statement.
CLUSTERS: Final = 300
#: The length of 384 sines with noise of up to a quarter, by which they are divided. As in the statement.
_LENGTH: Final = 14.1
_MEMORIES: Final = (
    """
    INSERT INTO livingworld.memories
        (world_id, memory_id, story_id, timeline_number, position, scene_number, kind, content, digest, private,
         importance, valence)
    SELECT $1, gen_random_uuid(), $2, s.timeline_number, s.position, s.scene_number, 'event', t.content,
           sha256(convert_to(t.content, 'UTF8')), false, random(), 0
    FROM livingworld.scenes s
    CROSS JOIN LATERAL (
        SELECT 'the tide of day ' || n || ' took lamp ' || n % 997 FROM generate_series(1, $3) n
    ) t (content)
    WHERE s.world_id = $1 AND s.story_id = $2
    """,
    """
    INSERT INTO livingworld.memory_vectors (world_id, memory_id, embedder, vector)
    SELECT m.world_id, m.memory_id, 'benchmark', ARRAY(
        SELECT ((sin(m.cluster * n) + (random() - 0.5) / 2) / 14.1)::real FROM generate_series(1, 384) n
    )
    FROM (
        SELECT m.*, 1 + row_number() OVER () % 300 AS cluster FROM livingworld.memories m
        WHERE m.world_id = $1 AND m.story_id = $2 AND $3::integer > 0
    ) m
    WHERE NOT EXISTS (SELECT FROM livingworld.memory_vectors v WHERE (v.world_id, v.memory_id) = ($1, m.memory_id))
    """,
)


async def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--memories", type=int, nargs="*", default=[100_000])
    made.add_argument("--lore", type=int, default=50_000)
    made.add_argument("--scenes", type=int, default=200_000)
    made.add_argument("--times", type=int, default=60)
    arguments = made.parse_args()
    with server_url(arguments) as url:
        await migrations.upgrade(url)
        result = await measure(url, arguments) | await describe(url)
    print(json.dumps(result, indent=None if arguments.json else 2))


async def measure(url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the medians, each beside its target."""
    result: dict[str, Any] = {}
    settings = Settings.load(database_url=url, pool_size=16)
    async with LivingWorld.open(settings) as livingworld:
        for count in arguments.memories:
            world = await livingworld.worlds.create("remembered")
            result[f"recall {count}"] = await recall(url, world, count, arguments.times)
        world = await livingworld.worlds.create("benchmark")
        if arguments.lore:
            result[f"lore {arguments.lore}"] = await lore(world, arguments.lore, arguments.times)
        if arguments.scenes:
            result |= await long_story(url, world, arguments)
    return result


async def recall(url: str, world: World, count: int, times: int) -> dict[str, Any]:
    """Return the medians of recall by a vector and by words, among so many memories of one story."""
    story_id = (await world.stories.create("remembered")).id
    await world.stories.append_scene(story_id, NewScene("x"))
    await world.memories.use_embedder("benchmark", 384)
    chance = random.Random(1)
    await world.memories.add(story_id, [NewMemory("The lamp.", vector=near_a_cluster(chance), embedder="benchmark")])
    await load(url, world.id, story_id, count)
    queries = [near_a_cluster(chance) for _ in range(24)]
    found = await world.memories.recall(story_id, queries[0], embedder="benchmark")
    assert len(found) == min(10, count)

    async def by_vector() -> object:
        return await world.memories.recall(story_id, chance.choice(queries), embedder="benchmark")

    async def by_words() -> object:
        return await world.memories.recall(story_id, f"lamp {chance.randrange(997)}")

    bounded = {"without an index": await median(by_vector, times), "by words": await median(by_words, times)}
    began = time.perf_counter()
    try:
        await index_memories(make_url(url), world.id)
    except InvalidInput:  # no pgvector
        return bounded | {"is_cut": found.is_cut}
    seconds = round(time.perf_counter() - began, 1)
    indexed = at_most(await median(by_vector, times), TARGETS_MS["recall"])
    return {"by vector": indexed, "indexed in": seconds} | bounded | {"is_cut": found.is_cut}


def near_a_cluster(chance: random.Random) -> list[float]:
    """Return a vector as memories of the benchmark have it."""
    cluster = chance.randint(1, CLUSTERS)
    return [(math.sin(cluster * n) + (chance.random() - 0.5) / 2) / _LENGTH for n in range(1, 385)]


async def load(url: str, world_id: UUID, story_id: UUID, count: int) -> None:
    """Store memories with vectors, as many calls would have."""
    async with connected(url) as connection:
        for statement in _MEMORIES:
            await connection.execute(statement, world_id, story_id, count, timeout=3_600)
        await connection.execute("VACUUM ANALYZE", timeout=3_600)


async def lore(world: World, count: int, times: int) -> dict[str, Any]:
    """Return the median of matching a text, and what the first match of a process takes, which reads all keys."""
    chance = random.Random(2)
    for begin in range(0, count, 500):
        numbers = range(begin, min(begin + 500, count))
        await world.lore.add_many([NewLoreEntry(f"About {n}", (f"place {n}", f"name{n}")) for n in numbers])
    scenes = sample_scenes()

    async def match() -> object:
        return await world.lore.match(f"{next(scenes).content} place {chance.randrange(count)}")

    began = time.perf_counter()
    assert await match()
    first = time.perf_counter() - began
    matching = await median(match, times)
    return {"match": at_most(matching, TARGETS_MS["lore"]), "first match": round(first * 1000, 1)}


async def long_story(url: str, world: World, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the medians of a search and of a context in a story of so many scenes."""
    story_id = (await world.stories.create("The long one")).id
    await grow(world, story_id, sample_scenes(), arguments.scenes)
    while await world.search.index(10_000):
        pass
    for number in range(5):
        async with world.turns.take(story_id, request_key=f"state {number}") as turn:
            await turn.commit(NewScene("The tide came in. " * 70, ["on"], CAST), state(number * 10))
    async with connected(url) as connection:
        await connection.execute("VACUUM ANALYZE", timeout=3_600)
    taken = [await context(world, story_id, number) for number in range(arguments.times)]
    return {
        f"search {arguments.scenes}": at_most(
            await median(lambda: world.search.find("ba"), arguments.times), TARGETS_MS["search"]
        ),
        f"context {arguments.scenes}": at_most(round(statistics.median(taken), 2), TARGETS_MS["context"]),
    }


async def context(world: World, story_id: UUID, number: int) -> float:
    """Return the milliseconds until a turn is taken and its context is there; the turn is given up."""
    began = time.perf_counter()
    async with world.turns.take(story_id, request_key=f"look {number}") as turn:
        assert len(turn.context.cast) == len(CAST)
        assert turn.context.facts
        assert turn.context.memories
        return (time.perf_counter() - began) * 1000


async def median(call: Callable[[], Awaitable[Any]], times: int) -> float:
    """Return the median of calling it, in milliseconds."""
    elapsed = []
    for _ in range(times):
        began = time.perf_counter()
        assert await call()
        elapsed.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(elapsed), 2)


if __name__ == "__main__":
    asyncio.run(main())
