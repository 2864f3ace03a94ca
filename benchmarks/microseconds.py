"""Where the microseconds of an append and of a whole turn go, from call to commit and back: one task, one story.

    client    CPU by room: its share of the profiled time, of the CPU of a run that nothing looked at
    server    time inside each function of livingworld, as PostgreSQL counts it (track_functions), by itself
    commit    the rest of the server's CPU: messages, executor, WAL, the disk, background processes
    waiting   what is left of the time on the clock: the disk, and the way between two processes

No words are indexed meanwhile (`index_words`): that is no part of the call.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import pstats
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Final
from uuid import UUID

import asyncpg
from costs import CostMeter
from measuring import append_for
from peers import Contestant
from peers.livingworld_api import LivingWorldApi
from scenes import sample_scenes
from servers import describe, parser, server_url
from turns import Turns

from livingworld import LivingWorld, Settings
from livingworld.postgres import migrations
from livingworld.testing.staged_races import connection_arguments

#: The room of a module, by the first of these that its path contains.
ROOMS: Final = {
    "livingworld/story/turns": "turns",
    "livingworld/story": "stories: checks, requests, records",
    "livingworld/postgres/group_commit": "group commit",
    "livingworld/postgres": "transactions and connections",
    "livingworld/observability": "metrics and events",
    "livingworld": "other rooms of livingworld",
    "asyncpg": "asyncpg",
    "sqlalchemy": "SQLAlchemy",
    "asyncio": "event loop",
    "selectors": "event loop",
    "json": "JSON",
    "": "standard library",
}
_WAITING: Final = "<method 'poll' of 'select.epoll' objects>"


async def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__).parse_args()
    sample_scenes()
    with server_url(arguments) as url:
        result = {kind: await measure(url, kind, arguments.seconds) for kind in ("append", "turn")} | await describe(
            url
        )
    print(json.dumps(result, indent=None if arguments.json else 2))


async def measure(url: str, kind: str, seconds: float) -> dict[str, Any]:
    """Return the microseconds of one operation, by where they go."""
    async with AsyncExitStack() as stack:
        meter = await CostMeter.connect(url)
        stack.push_async_callback(meter.close)
        await migrations.upgrade(url)
        await count_functions(url)
        settings = Settings.load(database_url=url, index_words=False)
        world = await (await stack.enter_async_context(LivingWorld.open(settings))).worlds.create("benchmark")
        one: Contestant = Turns(world) if kind == "turn" else LivingWorldApi(world)
        stories = await one.begin(1)
        await append_for(one, stories, 1, 2 * seconds)  # connections, statements, segments of the WAL
        loop, before = asyncio.get_running_loop(), await meter.now()
        started = loop.time()
        count = await append_for(one, stories, 1, seconds)
        elapsed, cost = (loop.time() - started) * 1e6 / count, (await meter.now() - before).each(count)
        client, server = (
            await profiled(one, stories, seconds, cost.client_us),
            await functions(url, one, stories, seconds),
        )
    own = round(sum(server.values()))
    return {
        "on the clock": round(elapsed),
        "client": {"all": round(cost.client_us)} | client,
        "server": {"all": round(cost.server_us), "functions": own} | server,
        "commit": round(cost.server_us) - own,
        "waiting": round(elapsed - cost.client_us - cost.server_us),
    }


async def profiled(one: Contestant, stories: Sequence[UUID], seconds: float, all_of_it: float) -> dict[str, int]:
    """Return the client's microseconds by room."""
    with cProfile.Profile() as profile:
        await append_for(one, stories, 1, seconds)
    rooms: Counter[str] = Counter()
    stats: Any = pstats.Stats(profile)
    for (path, _, name), (_, _, own, _, callers) in stats.stats.items():
        if name == _WAITING:
            continue
        if path == "~" and callers:  # a function in C works for who calls it
            for (calling, _, _), (_, _, part, _) in callers.items():
                rooms[room(calling)] += part
        else:
            rooms[room(path)] += own
    scale = all_of_it / sum(rooms.values())
    return {name: round(time * scale) for name, time in rooms.most_common()}


def room(path: str) -> str:
    """Return the room of a module."""
    return next(name for part, name in ROOMS.items() if part in path)


async def count_functions(url: str) -> None:
    """Have sessions that begin from now on count the time inside of functions."""
    connection = await asyncpg.connect(**connection_arguments(url))
    try:
        name = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute(f"ALTER DATABASE {name} SET track_functions = 'all'")
    finally:
        await connection.close()


async def functions(url: str, one: Contestant, stories: Sequence[UUID], seconds: float) -> dict[str, float]:
    """Return the server's microseconds inside of each function, without those that it calls."""
    connection = await asyncpg.connect(**connection_arguments(url))
    try:
        before = await counted(connection, one, stories)
        count = await append_for(one, stories, 1, seconds)
        after = await counted(connection, one, stories)
    finally:
        await connection.close()
    spent = {name: round((time - before.get(name, 0)) * 1000 / count, 1) for name, time in after.items()}
    return dict(sorted(((name, time) for name, time in spent.items() if time >= 1), key=lambda one: -one[1]))


async def counted(
    connection: asyncpg.Connection[asyncpg.Record], one: Contestant, stories: Sequence[UUID]
) -> dict[str, float]:
    """Return the milliseconds inside of each function so far."""
    await asyncio.sleep(1.1)  # a session tells what it counted with a statement, once a second at most
    await append_for(one, stories, 1, 0.01)
    await asyncio.sleep(0.1)
    rows = await connection.fetch(
        "SELECT funcname, self_time FROM pg_stat_user_functions WHERE schemaname = 'livingworld'"
    )
    return {row["funcname"]: row["self_time"] for row in rows}


if __name__ == "__main__":
    asyncio.run(main())
