"""What healthy stories notice of faults elsewhere in their process: milliseconds of a call, beside undisturbed ones.

Each regime is a fault that somebody else causes: held stories, a held character, a scene that PostgreSQL refuses, one
whose statement takes for ever, transactions of the application that wait. Meanwhile sixteen stories are written and
read; the regimes take turns with rounds in which nothing is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import asyncpg
from servers import parser, server_url
from sqlalchemy import make_url

from livingworld import LivingWorld, NewScene, Settings, Story, Subject, World
from livingworld.errors import LivingWorldError
from livingworld.postgres import migrations

SECONDS: Final = 3
HEALTHY: Final = 16
HELD: Final = 14
_TRIGGER: Final = """
    CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.content = 'poison' THEN RAISE EXCEPTION 'poisoned'; END IF;
        IF NEW.content = 'slow' THEN PERFORM pg_sleep(3); END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER poison BEFORE INSERT ON livingworld.scenes FOR EACH ROW EXECUTE FUNCTION poison();
"""
Fault = Callable[[], AbstractAsyncContextManager[None]]


class Regimes:
    """The faults, each a block in which it is there."""

    def __init__(self, world: World, admin: asyncpg.Connection[asyncpg.Record]) -> None:
        self._world = world
        self._admin = admin

    @contextlib.asynccontextmanager
    async def nothing(self) -> AsyncIterator[None]:
        """Leave all as it is."""
        yield

    @contextlib.asynccontextmanager
    async def held_stories(self) -> AsyncIterator[None]:
        """Hold stories of which each has an append, a fact and an edit waiting."""
        stories = [await self._world.stories.create("held") for _ in range(HELD)]
        writes = [call for story in stories for call in self._writes(story)]
        async with self._holding("stories", "story_id", [story.id for story in stories]), _again_and_again(writes):
            yield

    @contextlib.asynccontextmanager
    async def held_character(self) -> AsyncIterator[None]:
        """Hold a character whom scenes cast again and again."""
        mara, _ = await self._world.characters.get_or_create("Mara")
        story = await self._world.stories.create("casts her")
        casting = [lambda: self._append(story, "with her", cast=[mara.id])]
        async with self._holding("characters", "character_id", [mara.id]), _again_and_again(casting):
            yield

    @contextlib.asynccontextmanager
    async def poisoned(self) -> AsyncIterator[None]:
        """Send scenes that the database refuses."""
        story = await self._world.stories.create("poisoned")
        async with _again_and_again([lambda: self._append(story, "poison")]):
            yield

    @contextlib.asynccontextmanager
    async def slow(self) -> AsyncIterator[None]:
        """Send scenes that take three seconds each."""
        story = await self._world.stories.create("slow")
        async with _again_and_again([lambda: self._append(story, "slow")]):
            yield

    @contextlib.asynccontextmanager
    async def transactions(self) -> AsyncIterator[None]:
        """Have twenty transactions of the application wait for one story."""
        story = await self._world.stories.create("held")

        async def wait() -> None:
            async with self._world.transaction() as tx:
                await tx.stories.update(story.id, expected_version=1, title="late")

        async with self._holding("stories", "story_id", [story.id]), _again_and_again([wait] * 20):
            yield

    def _writes(self, story: Story) -> list[Callable[[], Any]]:
        return [
            lambda: self._append(story, "waits"),
            lambda: self._world.facts.set(story.id, Subject("weather"), "sky", "grey"),
            lambda: self._world.stories.update(story.id, expected_version=1, title="late"),
        ]

    async def _append(self, story: Story, content: str, **more: Any) -> None:  # noqa: ANN401
        await self._world.stories.append_scene(story.id, NewScene(content, **more))

    @contextlib.asynccontextmanager
    async def _holding(self, table: str, key: str, ids: list[Any]) -> AsyncIterator[None]:
        async with self._admin.transaction():
            await self._admin.execute(f"SELECT FROM livingworld.{table} WHERE {key} = ANY ($1) FOR UPDATE", ids)
            yield


@contextlib.asynccontextmanager
async def _again_and_again(calls: list[Callable[[], Any]]) -> AsyncIterator[None]:
    async def repeat(call: Callable[[], Any]) -> None:
        while True:
            with contextlib.suppress(LivingWorldError):
                await call()
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(repeat(call)) for call in calls]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def measure(url: str, rounds: int) -> dict[str, dict[str, float]]:
    """Return milliseconds by regime: the median and the 99th percentile of appends and of reads."""
    parsed = make_url(url)
    admin = await asyncpg.connect(
        user=parsed.username, database=parsed.database, host=str(parsed.query.get("host", parsed.host))
    )
    await admin.execute(_TRIGGER)
    async with LivingWorld.open(Settings.load(database_url=url)) as livingworld:
        world = await livingworld.worlds.create("isolation")
        stories = [await world.stories.create("healthy") for _ in range(HEALTHY)]
        regimes = Regimes(world, admin)
        faults = (regimes.held_stories, regimes.held_character, regimes.poisoned, regimes.slow, regimes.transactions)
        taken: dict[str, dict[str, list[float]]] = {}
        await _use(world, stories, taken.setdefault("warm-up", {}))
        for _ in range(rounds):
            for fault in (regimes.nothing, *faults):
                async with fault():
                    await asyncio.sleep(0.1)
                    await _use(world, stories, taken.setdefault(fault.__name__, {}))
    await admin.close()
    return {name: _percentiles(calls) for name, calls in taken.items() if name != "warm-up"}


async def _use(world: World, stories: list[Story], taken: dict[str, list[float]]) -> None:
    end = time.perf_counter() + SECONDS

    async def player(story: Story) -> None:
        while time.perf_counter() < end:
            for name, call in (
                ("append", world.stories.append_scene(story.id, NewScene("on"))),
                ("head", world.stories.head(story.id)),
            ):
                began = time.perf_counter()
                await call
                taken.setdefault(name, []).append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.02)

    await asyncio.gather(*(player(story) for story in stories))


def _percentiles(calls: dict[str, list[float]]) -> dict[str, float]:
    return {
        f"{name} p{percent}": round(sorted(values)[len(values) * percent // 100], 1)
        for name, values in calls.items()
        for percent in (50, 99)
    }


def table(result: dict[str, dict[str, float]]) -> str:
    """Return the result for a person."""
    lines = [
        f"{name:16}" + "".join(f"{key} {value:8.1f} ms  " for key, value in row.items()) for name, row in result.items()
    ]
    return "\n".join(lines)


async def main() -> None:
    """Measure and print."""
    arguments: argparse.Namespace = parser(__doc__).parse_args()
    with server_url(arguments) as url:
        await migrations.upgrade(url)
        result = await measure(url, arguments.rounds)
    print(json.dumps(result) if arguments.json else table(result))


if __name__ == "__main__":
    asyncio.run(main())
