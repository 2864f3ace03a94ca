"""Workers in two processes, one of which is killed every second: each effect once, in the order of its lane."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest

from livingworld import LaneSize, NewAction, World
from livingworld.testing.staged_races import connected
from tests.concurrency.programs import PlayerProcess, started
from tests.support.action_checks import broken_lanes
from tests.support.patience import patiently
from tests.support.rotation import WHOLE

PROGRAM: Final = Path(__file__).with_name("action_program.py")
LANES: Final = 25
ACTIONS: Final = 10_000 if WHOLE else 1_000
KILLS: Final = 20 if WHOLE else 3
WORKERS_EACH: Final = 4
PATIENCE: Final = timedelta(minutes=10)


@pytest.mark.slow
@pytest.mark.rotates
async def test_thousands_of_actions_take_effect_once_each_and_in_order_while_workers_are_killed(
    database_url: str, world: World
) -> None:
    stories = [(await world.stories.create(f"lane {number}")).id for number in range(LANES)]
    await give(world, stories)

    arguments = (database_url, world.id, WORKERS_EACH, 1)
    async with workers(*arguments) as processes:
        for number in range(KILLS):
            await asyncio.sleep(1)  # the rhythm that is asked for; nothing is decided by it
            await processes[number % 2].kill()
            processes[number % 2] = await started(PROGRAM, *arguments)
        async with patiently(PATIENCE):
            while await world.actions.size() != LaneSize(waiting=0, running=0):  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.2)
        assert [await process.do("stop") for process in processes] == ["stopped", "stopped"]

    for story in stories:
        assert await contents(database_url, story) == [str(number) for number in range(ACTIONS // LANES)]
    assert await states(database_url) == {"done": ACTIONS}
    assert await broken_lanes(database_url, world.id) == []


async def give(world: World, stories: list[UUID]) -> None:
    """Give each story's lane its actions, in the order in which they must take effect."""
    given = [
        NewAction(f"story {story}", "tell", {"story": str(story), "number": number}, max_attempts=1000)
        for number in range(ACTIONS // LANES)
        for story in stories
    ]
    await world.actions.enqueue_many(given)


@asynccontextmanager
async def workers(*arguments: object) -> AsyncIterator[list[PlayerProcess]]:
    """Run two processes of workers, and end whatever runs in their places at the end."""
    async with AsyncExitStack() as stack:
        processes: list[PlayerProcess] = []

        async def end() -> None:
            await asyncio.gather(*(process.kill() for process in processes))

        stack.push_async_callback(end)
        processes += [await started(PROGRAM, *arguments) for _ in range(2)]
        yield processes


async def contents(url: str, story: UUID) -> list[str]:
    """Return the scenes of a story in their order."""
    statement = "SELECT content FROM livingworld.scenes WHERE story_id = $1 ORDER BY scene_number"
    async with connected(url) as connection:
        return [row["content"] for row in await connection.fetch(statement, story)]


async def states(url: str) -> dict[str, int]:
    """Return how many actions there are in each state."""
    async with connected(url) as connection:
        rows = await connection.fetch("SELECT state, count(*) FROM livingworld.actions GROUP BY state")
    return {row["state"]: row["count"] for row in rows}
