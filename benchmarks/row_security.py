"""What row-level security costs: calls of one task as the application's role, in databases with and without it.

`plain` has none, `world` sees one world in each transaction, `tenant` one world of one tenant. They take turns with
rounds in one run; microseconds of CPU time of the client and of the server for each call.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any, Final

from costs import Cost, CostMeter
from scenes import sample_scenes
from servers import describe, parser, server_url
from sqlalchemy import make_url

from livingworld import LivingWorld, NewScene, Settings, World
from livingworld.postgres import migrations
from livingworld.story.worlds.isolation import isolate
from livingworld.testing.roles import made_roles
from livingworld.testing.staged_races import connected

SCENES: Final = 500
CALLS: Final = ("head", "recent", "append", "turn")
KINDS: Final = ("client", "server")
Call = Callable[[], Awaitable[object]]
#: By contestant: whether the database is isolated, and the tenant of the process.
CONTESTANTS: Final[dict[str, tuple[bool, str | None]]] = {
    "plain": (False, None),
    "world": (True, None),
    "tenant": (True, "Acme"),
}


@asynccontextmanager
async def opened(url: str, name: str) -> AsyncIterator[World]:
    """Make a database for a contestant and open a world in it as the application's role."""
    isolated, tenant = CONTESTANTS[name]
    async with connected(url) as owner:
        await owner.execute(f"CREATE DATABASE {name}")
    own = make_url(url).set(database=name).render_as_string(hide_password=False)
    await migrations.upgrade(own)
    if isolated:
        await isolate(own, on=True, lock_timeout=timedelta(seconds=10))
    async with made_roles(own) as roles:
        settings = Settings.load(
            database_url=roles.application, row_security=isolated, tenant=tenant, index_words=False
        )
        async with LivingWorld.open(settings) as livingworld:
            yield await livingworld.worlds.create(name)


async def calls(world: World) -> dict[str, Call]:
    """Fill a story, and return what is measured."""
    story, keys = await world.stories.create("The Causeway"), count()
    scenes = (NewScene(each.content, each.choices) for each in sample_scenes())
    for _ in range(SCENES):
        await world.stories.append_scene(story.id, next(scenes))

    async def turn() -> None:
        async with world.turns.take(story.id, request_key=f"turn {next(keys)}") as taken:
            await taken.commit(next(scenes))

    return {
        "head": lambda: world.stories.head(story.id),
        "recent": lambda: world.stories.recent(story.id, 10),
        "append": lambda: world.stories.append_scene(story.id, next(scenes)),
        "turn": turn,
    }


async def measure(url: str, rounds: int, repetitions: int) -> dict[str, Any]:
    """Return the median cost of each call and contestant."""
    costs: dict[str, dict[str, list[Cost]]] = {}
    async with AsyncExitStack() as stack:
        meter = await CostMeter.connect(url)
        stack.push_async_callback(meter.close)
        ready = {name: await calls(await stack.enter_async_context(opened(url, name))) for name in CONTESTANTS}
        for _ in range(rounds):
            for call in CALLS:
                for name, own in ready.items():
                    cost = await cost_of(own[call], meter, repetitions)
                    costs.setdefault(call, {}).setdefault(name, []).append(cost)
    medians = {call: {name: median(each) for name, each in row.items()} for call, row in costs.items()}
    return {"microseconds of CPU": medians, **await describe(url)}


def median(costs: list[Cost]) -> dict[str, int]:
    """Return the medians of the client's and of the server's time."""
    return {kind: round(statistics.median(getattr(each, f"{kind}_us") for each in costs)) for kind in KINDS}


async def cost_of(call: Call, meter: CostMeter, repetitions: int) -> Cost:
    """Return the cost of one of so many calls."""
    before = await meter.now()
    for _ in range(repetitions):
        await call()
    return (await meter.now() - before).each(repetitions)


def main() -> None:
    """Measure and print."""
    arguments: argparse.Namespace = parser(__doc__).parse_args()
    with server_url(arguments) as url:
        result = asyncio.run(measure(url, arguments.rounds, round(arguments.seconds * 200)))
    if arguments.json:
        print(json.dumps(result))
        return
    for call, row in result["microseconds of CPU"].items():
        cells = (f"{name:>8} {cost['client']:>5} + {cost['server']:>5}" for name, cost in row.items())
        print(f"{call:<10}" + "".join(cells))
    print(f"PostgreSQL {result['server_version']}, fsync {result['fsync']}")


if __name__ == "__main__":
    main()
