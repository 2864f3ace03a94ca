"""What cutting the largest tables by world costs and brings: two databases of one server, one plain, one of partitions.

Appends and whole turns take turns on both: CPU of the server and of this process for each. Then scenes are loaded into
both, a tenth of them is deleted in one world or in all, and VACUUM says what it read and how long it worked.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
from costs import Cost, CostMeter
from scenes import sample_scenes
from servers import describe, parser, server_url
from sqlalchemy import make_url

from livingworld import LivingWorld, NewScene, Settings, Story, Turn, World
from livingworld.postgres import migrations
from livingworld.postgres.distribution.partitioning import partition
from livingworld.schema import metadata
from livingworld.story.worlds.isolation import keep_isolated
from livingworld.testing.staged_races import connected

WORLDS: Final = 16
APPENDS: Final = 320
TURNS: Final = 100
_LOAD: Final = """
    INSERT INTO livingworld.scenes
        (world_id, story_id, scene_number, parent_scene_number, timeline_number, position, content)
    SELECT md5('world ' || w)::uuid, md5('story')::uuid, n, nullif(n - 1, 0), 1, n, repeat('The tide came in. ', 20)
    FROM generate_series(1, $1::integer) w CROSS JOIN generate_series(1, $2::integer) n
"""
_SIZES: Final = """
    SELECT sum(pg_indexes_size(c.oid))::bigint FROM pg_class c
    WHERE c.relkind = 'r' AND (c.oid = 'livingworld.scenes'::regclass
        OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'livingworld.scenes'::regclass))
"""
_OF_WORLD: Final = (
    "SELECT tableoid::regclass::text FROM livingworld.scenes WHERE world_id = md5('world 1')::uuid LIMIT 1"
)
_DELETES: Final = {
    "in one world": "DELETE FROM livingworld.scenes WHERE world_id = md5('world 1')::uuid AND scene_number % 10 = 0",
    "in all worlds": "DELETE FROM livingworld.scenes WHERE scene_number % 10 = 1",
}
_BUFFERS: Final = re.compile(r"buffer usage: (\d+) hits, (\d+) (?:misses|reads), (\d+) dirtied")
_CPU: Final = re.compile(r"CPU: user: ([\d.]+) s, system: ([\d.]+) s")


async def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--partitions", type=int, default=8)
    made.add_argument("--worlds", type=int, default=200, help="worlds that are loaded, of --scenes each")
    made.add_argument("--scenes", type=int, default=1_000)
    arguments = made.parse_args()
    with server_url(arguments) as url:
        urls = await databases(url, arguments.partitions)
        result: dict[str, Any] = {"microseconds": await costs(urls, arguments.rounds)}
        result["vacuum"] = {name: await vacuums(each, arguments) for name, each in urls.items()}
        result |= await describe(url)
    print(json.dumps(result, indent=None if arguments.json else 2))


async def databases(url: str, count: int) -> dict[str, str]:
    """Make both databases, and return their URLs."""
    urls = {}
    for name in ("plain", "partitions"):
        async with connected(url) as connection:
            await connection.execute(f"CREATE DATABASE {name}")
        urls[name] = make_url(url).set(database=name).render_as_string(hide_password=False)
        await migrations.upgrade(urls[name])
    await partition(urls["partitions"], metadata, count, complete=keep_isolated, report=lambda _: None)
    return urls


async def costs(urls: dict[str, str], rounds: int) -> dict[str, dict[str, Any]]:
    """Return the median CPU of an append and of a turn, by database."""
    found: dict[str, list[Cost]] = defaultdict(list)
    for _, (name, url) in itertools.product(range(rounds), urls.items()):
        for operation, cost in (await round_of(url)).items():
            found[f"{operation}, {name}"].append(cost)
    return {
        name: {
            "server": round(statistics.median(cost.server_us for cost in each)),
            "client": round(statistics.median(cost.client_us for cost in each)),
        }
        for name, each in found.items()
    }


async def round_of(url: str) -> dict[str, Cost]:
    """Return what an append alone, an append among sixteen tasks, and a turn cost on one database."""
    async with LivingWorld.open(Settings.load(database_url=url, index_words=False)) as livingworld:
        worlds = [await livingworld.worlds.create(f"{number}") for number in range(WORLDS)]
        load = Load([(world, await world.stories.create("measured")) for world in worlds])
        meter = await CostMeter.connect(url)
        found = {}
        for name, work, count in (
            ("append", load.alone, APPENDS),
            ("append, 16", load.together, APPENDS),
            ("turn", load.turns, TURNS),
        ):
            await work()
            before = await meter.now()
            await work()
            found[name] = (await meter.now() - before).each(count)
        await meter.close()
        return found


class Load:
    """What is measured, spread over stories of their own worlds."""

    def __init__(self, pairs: Sequence[tuple[World, Story]]) -> None:
        self._pairs = pairs
        self._scenes = sample_scenes()
        self._keys = itertools.count()

    async def alone(self) -> None:
        """Append one scene after the other."""
        for number in range(APPENDS):
            await self._append(number)

    async def together(self) -> None:
        """Append to all stories at once, again and again."""
        for _ in range(APPENDS // WORLDS):
            await asyncio.gather(*map(self._append, range(WORLDS)))

    async def turns(self) -> None:
        """Play one turn after the other, each under a key of its own."""
        for number in range(TURNS):
            world, story = self._pairs[number % WORLDS]
            await world.turns.play(story.id, self._tell, request_key=f"{next(self._keys)}")

    async def _append(self, number: int) -> None:
        world, story = self._pairs[number % WORLDS]
        await world.stories.append_scene(story.id, self._next_scene())

    async def _tell(self, _: Turn) -> NewScene:
        return self._next_scene()

    def _next_scene(self) -> NewScene:
        return NewScene(next(self._scenes).content, ["a", "b", "c"])


async def vacuums(url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Load scenes, delete some, and return what VACUUM did, and the bytes of the indexes."""
    found: dict[str, Any] = {}
    async with connected(url) as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(_LOAD, arguments.worlds, arguments.scenes, timeout=3600)
        await connection.execute("VACUUM ANALYZE livingworld.scenes", timeout=3600)
        found["bytes of indexes"] = await connection.fetchval(_SIZES)
        own = await connection.fetchval(_OF_WORLD)
        for name, delete in _DELETES.items():
            await connection.execute(delete, timeout=3600)
            found[name] = await vacuum(connection, own if name == "in one world" else "livingworld.scenes")
    return found


async def vacuum(connection: asyncpg.Connection[asyncpg.Record], table: str) -> dict[str, float]:
    """Vacuum a table with its partitions, and return the pages and the seconds of CPU of it."""
    heard: list[str] = []
    connection.add_log_listener(lambda _, message: heard.append(str(message) + str(message.as_dict())))
    await connection.execute(f"VACUUM (VERBOSE, INDEX_CLEANUP ON) {table}", timeout=3600)
    text = "\n".join(heard)
    return {
        "pages": sum(sum(map(int, each)) for each in _BUFFERS.findall(text)),
        "seconds of CPU": round(sum(sum(map(float, each)) for each in _CPU.findall(text)), 2),
    }


if __name__ == "__main__":
    asyncio.run(main())
