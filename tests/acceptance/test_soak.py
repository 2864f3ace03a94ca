"""Everything at once from two pools into one world: no deadlock, no broken promise; `make soak` for a minute."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from random import Random
from typing import Final

import pytest

from livingworld import LivingWorld, Settings
from livingworld.errors import Conflict, NotFound, Refused, Timeout
from tests.acceptance.soak_deeds import DEEDS, Stage, work
from tests.support.action_checks import broken_lanes
from tests.support.pooler import PGBOUNCER, pooled
from tests.support.staging import deadlocks
from tests.support.turn_checks import broken_turns, rows

SECONDS: Final = float(os.environ.get("LIVINGWORLD_SOAK_SECONDS", "6"))
PLAYERS: Final = 12
GAPS: Final = """
    SELECT story_id FROM livingworld.scenes GROUP BY story_id
    HAVING count(*) <> max(scene_number) OR min(scene_number) <> 1
"""


class Soak:
    """What the players have done so far."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    async def play(self, stage: Stage, until: float) -> None:
        """Do one deed after the other, at least until each was done once.

        Being refused, having waited too long and finding nothing are part of it.
        """
        while asyncio.get_running_loop().time() < until or len(self.done) < len(DEEDS):
            deed = stage.chance.choice(DEEDS)
            try:
                await deed(stage)
            except (Conflict, NotFound, Refused, Timeout) as error:
                self.refused[f"{deed.__name__}: {type(error).__name__}"] += 1
            else:
                self.done[deed.__name__] += 1


async def soak(database_url: str, first: LivingWorld, second: LivingWorld, seconds: float) -> None:
    """Play in one world from two pools for so long, and look for deadlocks and broken promises."""
    world = await first.worlds.create("Soaked")
    stories = [(await world.stories.create(f"story {number}")).id for number in range(3)]
    sessions = [(await world.sessions.open()).id for _ in range(3)]
    soak = Soak()
    until = asyncio.get_running_loop().time() + seconds
    processes = [(first, world), (second, await second.worlds.get(world.id))]
    stages = [Stage(*processes[seed % 2], stories, sessions, Random(seed)) for seed in range(PLAYERS)]
    handlers = dict.fromkeys(("walk", "heal", "rest"), work)
    async with (
        processes[0][1].actions.worker(handlers, concurrency=4).running(),
        processes[1][1].actions.worker(handlers, concurrency=4).running(),
        processes[1][1].scripts.following(),
        asyncio.TaskGroup() as players,
    ):
        for stage in stages:
            players.create_task(soak.play(stage, until))

    assert soak.done.keys() == {deed.__name__ for deed in DEEDS}
    assert await deadlocks(database_url) == 0
    assert [await broken_turns(database_url, story) for story in stories] == [[], [], []]
    assert await broken_lanes(database_url, world.id) == []
    assert await rows(database_url, GAPS) == []


@pytest.mark.slow
async def test_everything_at_once_ends_without_a_deadlock(database_url: str, livingworld: LivingWorld) -> None:
    async with LivingWorld.open(Settings.load(database_url=database_url)) as second:
        await soak(database_url, livingworld, second, SECONDS)


@pytest.mark.slow
@pytest.mark.skipif(PGBOUNCER is None, reason="there is no pgbouncer (Debian's package, which .ci/run installs)")
async def test_the_same_through_a_pooler(database_url: str) -> None:
    with pooled(database_url, sessions=8) as url:
        settings = Settings.load(database_url=url, direct_database_url=database_url, behind_pooler=True)
        async with LivingWorld.open(settings) as first, LivingWorld.open(settings) as second:
            await soak(database_url, first, second, SECONDS / 3)
