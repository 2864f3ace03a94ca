"""The same calls on several deployments, in turn: a plain server, one behind a pooler, a cluster. One task.

    deployments.py plain=URL "pooled=URL behind_pooler=true limits=role pid=4711" "three=URL also=URL also=URL"

Each round makes every call a few times on each deployment, one deployment after the other. What is told is the median,
in milliseconds of the caller and in microseconds of the CPU of the sessions of that database, and the median of each
round's ratio to the first deployment. A word after the URL is a setting; `also` names a further server of a cluster,
`pid` a pooler: their CPU counts too.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import asyncpg
import psutil  # type: ignore[import-untyped]
from scenes import sample_scenes
from world_state import CAST, state

from livingworld import LivingWorld, NewScene, Settings, Turn, World
from livingworld.settings.database_url import parse_url
from livingworld.testing.staged_races import connection_arguments

Call = Callable[[], Awaitable[object]]
_SCENES: Final = 20
_WARM_UP: Final = 12


@dataclass
class Deployment:
    """Where the calls are made, and what they took in each round."""

    name: str
    calls: dict[str, Call]
    database: str
    servers: list[psutil.Process]
    poolers: list[psutil.Process]
    #: By the call: milliseconds of a call, and microseconds of CPU.
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    cpu_us: dict[str, list[float]] = field(default_factory=dict)

    async def measure(self, name: str, times: int) -> None:
        """Make a call so many times."""
        used, began = self._used(), time.perf_counter()
        for _ in range(times):
            await self.calls[name]()
        took = time.perf_counter() - began
        more = sum(seconds - used.get(pid, 0.0) for pid, seconds in self._used().items())
        self.milliseconds.setdefault(name, []).append(took / times * 1e3)
        self.cpu_us.setdefault(name, []).append(more / times * 1e6)

    def _used(self) -> dict[int, float]:
        """Return the seconds of CPU of each pooler and of each session of the database, by the scheduler's counter."""
        poolers = {process.pid: _seconds(process.pid) for process in self.poolers}
        sessions = (each.pid for server in self.servers for each in server.children() if self._is_ours(each))
        return poolers | {pid: _seconds(pid) for pid in sessions}

    def _is_ours(self, session: psutil.Process) -> bool:
        try:
            return f" {self.database} " in " ".join(session.cmdline())
        except psutil.Error:
            return False


def _seconds(pid: int) -> float:
    try:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as counters:  # noqa: PTH123 - read very often
            return int(counters.read().split()[0]) / 1e9
    except OSError:  # ended since
        return 0.0


async def main() -> None:
    """Measure and print."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("deployments", nargs="+", help="name=URL, and words after it")
    made.add_argument("--rounds", type=int, default=31)
    made.add_argument("--times", type=int, default=5, help="how often a call is made in a round")
    arguments = made.parse_args()
    async with AsyncExitStack() as stack:
        found = [await opened(stack, each.split()) for each in arguments.deployments]
        for _ in range(arguments.rounds):
            for name, one in itertools.product(found[0].calls, found):
                await one.measure(name, arguments.times)
    print(json.dumps({one.name: summary(one, found[0]) for one in found}, indent=2))


async def opened(stack: AsyncExitStack, words: list[str]) -> Deployment:
    """Open a deployment with a story that has scenes and state."""
    (name, url), options = words[0].split("=", 1), dict[str, str]()
    servers, poolers = [url], []
    for key, value in (word.split("=", 1) for word in words[1:]):
        if key == "also":
            servers.append(value)
        elif key == "pid":
            poolers.append(psutil.Process(int(value)))
        else:
            options[key] = value
    settings: dict[str, Any] = {"index_words": False, **options}
    livingworld = await stack.enter_async_context(LivingWorld.open(Settings.load(database_url=url, **settings)))
    world = await livingworld.worlds.create("benchmark")
    story_id = await story_with_state(world)
    calls = dict(calls_of(world, story_id))
    for call in calls.values():
        for _ in range(_WARM_UP):
            await call()
    database = parse_url(url).database or ""
    return Deployment(name, calls, database, [await postmaster(each) for each in servers], poolers)


async def postmaster(url: str) -> psutil.Process:
    """Return the server's process."""
    connection = await asyncpg.connect(**connection_arguments(url), statement_cache_size=0)
    try:
        return psutil.Process(await connection.fetchval("SELECT pg_backend_pid()")).parent()
    finally:
        await connection.close()


async def story_with_state(world: World) -> UUID:
    """Return a story of some scenes, the last of which bring state."""
    story_id: UUID = (await world.stories.create("Measured")).id
    for scene in itertools.islice(sample_scenes(), _SCENES):
        await world.stories.append_scene(story_id, NewScene(scene.content, scene.choices))
    for number in range(5):
        async with world.turns.take(story_id, request_key=f"state {number}") as turn:
            await turn.commit(NewScene("The tide came in. " * 70, ["on"], CAST), state(number * 10))
    return story_id


def calls_of(world: World, story_id: UUID) -> Iterator[tuple[str, Call]]:
    """Give the calls that are measured."""
    scenes, keys = sample_scenes(), itertools.count()

    async def write(_: Turn) -> NewScene:
        return NewScene(next(scenes).content)

    async def context() -> None:
        async with world.turns.take(story_id, request_key=f"look {next(keys)}") as turn:
            assert turn.context.facts

    def scene() -> NewScene:
        return NewScene(next(scenes).content, ["on", "back"])

    yield "append", lambda: world.stories.append_scene(story_id, scene())
    yield "append with a key", lambda: world.stories.append_scene(story_id, scene(), request_key=f"a {next(keys)}")
    yield "turn", lambda: world.turns.play(story_id, write, request_key=f"t {next(keys)}")
    yield "head", lambda: world.stories.head(story_id)
    yield "recent(10)", lambda: world.stories.recent(story_id, 10)
    yield "context", context


def summary(one: Deployment, first: Deployment) -> dict[str, dict[str, float]]:
    """Return the medians of a deployment, and of its ratios to the first."""
    return {
        name: {
            "ms": round(statistics.median(one.milliseconds[name]), 2),
            "ms_ratio": ratio(one.milliseconds[name], first.milliseconds[name]),
            "cpu_us": round(statistics.median(one.cpu_us[name])),
            "cpu_ratio": ratio(one.cpu_us[name], first.cpu_us[name]),
        }
        for name in one.calls
    }


def ratio(mine: list[float], its: list[float]) -> float:
    """Return the median of the ratios of each round."""
    return round(statistics.median(a / b if b else 1 for a, b in zip(mine, its, strict=True)), 2)


if __name__ == "__main__":
    asyncio.run(main())
