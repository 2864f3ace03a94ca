"""The owners of a cycle come one after the other, each with a greater token, and one of its runs runs."""

from __future__ import annotations

import pytest

from livingworld import Cycle, World
from livingworld.testing.staged_races import connected


async def nothing(_: Cycle) -> None:
    """Bring nothing."""


async def test_the_constraint_refuses_a_second_running_run(database_url: str, world: World) -> None:
    for _ in range(2):
        await world.cycles.run("tide", {"plan": nothing})

    async with connected(database_url) as connection:
        with pytest.raises(Exception, match="uq_cycle_runs_running"):
            await connection.execute("UPDATE livingworld.cycle_runs SET state = 'running', finished_at = NULL")


async def test_every_owner_has_a_greater_token(world: World) -> None:
    tokens: list[int] = []

    async def note(cycle: Cycle) -> None:
        tokens.append(cycle.token)

    for _ in range(3):
        await world.cycles.run("tide", {"plan": note})
    assert tokens[0] < tokens[1] < tokens[2]
