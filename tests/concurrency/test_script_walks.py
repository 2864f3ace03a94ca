"""Everybody does everything with one script at once: numbers have no gap, and what is retired runs nowhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from random import Random
from typing import Final

from livingworld import World
from livingworld.errors import NothingToRollBack, ScriptActive, ScriptRetired, StillRunning
from tests.support.staging import deadlocks, same_world
from tests.support.turn_checks import rows

STEPS: Final = 25
PLAYERS: Final = 12
REFUSALS: Final = (NothingToRollBack, ScriptActive, ScriptRetired, StillRunning)


class Player:
    """Somebody who does one thing after the other, each in another process's stead."""

    def __init__(self, worlds: list[World], running: Counter[int], seed: int) -> None:
        self.worlds = worlds
        #: How often each version runs now, in all of the worlds.
        self.running = running
        self.random = Random(seed)
        self.seed = seed

    async def play(self) -> None:
        for step in range(STEPS):
            world = self.random.choice(self.worlds)
            deeds = (self.use, self.use, self.use, self.publish, self.roll_back, self.activate, self.retire)
            try:
                await self.random.choice(deeds)(world, step)
            except REFUSALS:
                continue

    async def use(self, world: World, _: int) -> None:
        async with world.scripts.use("narrator") as script:
            self.running[script.version] += 1
            await asyncio.sleep(self.random.random() / 50)
            assert (await world.scripts.get("narrator", script.version)).state != "retired"
            self.running[script.version] -= 1

    async def publish(self, world: World, step: int) -> None:
        await world.scripts.publish("narrator", f"{self.seed} {step}")

    async def roll_back(self, world: World, _: int) -> None:
        await world.scripts.rollback("narrator")

    async def activate(self, world: World, _: int) -> None:
        await world.scripts.activate("narrator", await self.some_version(world))

    async def retire(self, world: World, _: int) -> None:
        version = await self.some_version(world)
        await world.scripts.retire("narrator", version, timeout=timedelta(seconds=0.3))
        assert self.running[version] == 0

    async def some_version(self, world: World) -> int:
        return self.random.choice((await world.scripts.versions("narrator", limit=6)).items).version


async def test_whatever_is_done_at_once_a_retired_version_runs_nowhere(database_url: str, world: World) -> None:
    await world.scripts.publish("narrator", "the first")
    running: Counter[int] = Counter()
    async with (
        same_world(database_url, world.id, pools=3) as worlds,
        worlds[0].scripts.following(),
        worlds[1].scripts.following(),
        asyncio.TaskGroup() as players,
    ):
        for seed in range(PLAYERS):
            players.create_task(Player(worlds, running, seed).play())

    for numbers in (
        "SELECT version FROM livingworld.script_versions ORDER BY 1",
        "SELECT activation FROM livingworld.script_activations ORDER BY 1",
    ):
        found = await rows(database_url, numbers)
        assert found == [(number,) for number in range(1, len(found) + 1)]
    assert await rows(database_url, "SELECT FROM livingworld.script_executions") == []
    assert await deadlocks(database_url) == 0
