"""Calls of scripts are cancelled at each of their awaits: stored wholly or not at all, and nothing runs on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from typing import Any, Final

import pytest
import pytest_asyncio

from livingworld import LivingWorld, World
from livingworld.testing.staged_races import Connection
from tests.faults.cancelling import Persistence, cancelled_at
from tests.support.aftermath import assert_nothing_left, count, eventually

_WAITS_AT_MOST: Final = 200


async def use(world: World) -> None:
    async with world.scripts.use("narrator") as script:
        assert script.version == 1
        await asyncio.sleep(0)


async def follow(world: World) -> None:
    async with world.scripts.following():
        await use(world)


async def publish(world: World) -> None:
    await world.scripts.publish("narrator", "v2")


async def retire(world: World) -> None:
    await world.scripts.retire("asleep", 1)


CASES: Final[dict[str, Callable[[World], Coroutine[Any, Any, None]]]] = {
    "use": use,
    "following": follow,
    "publish": publish,
    "retire": retire,
}


@pytest_asyncio.fixture
async def livingworld(database_url: str, strict_loop: None) -> AsyncIterator[LivingWorld]:
    async with LivingWorld.open(database_url=database_url) as opened:
        yield opened


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("persistence", Persistence)
@pytest.mark.parametrize("name", CASES)
async def test_a_cancelled_call_leaves_all_or_nothing_and_no_execution(
    name: str, persistence: Persistence, livingworld: LivingWorld, observer: Connection
) -> None:
    endings = set()
    for nth in range(1, _WAITS_AT_MOST):
        world = await livingworld.worlds.create("Saltmarsh")
        await world.scripts.publish("narrator", "v1")
        await world.scripts.publish("asleep", "v1", activate=False)
        with livingworld.worlds._process.notifications.subscribe("warm"):  # from now on there is what listens
            pass
        before = asyncio.all_tasks()

        reached, ended = await cancelled_at(CASES[name](world), nth, persistence)

        assert await eventually(lambda before=before: _over(before)), asyncio.all_tasks() - before  # type: ignore[misc]
        await assert_nothing_left(livingworld, observer)
        assert await count(observer, "script_executions", world_id=world.id) == 0
        versions = await count(observer, "script_versions", world_id=world.id, name="narrator")
        activations = await count(observer, "script_activations", world_id=world.id, name="narrator")
        assert versions == activations
        assert versions == (2 if name == "publish" and ended else versions)
        assert (await world.scripts.publish("narrator", "v2")).version == 2
        assert (await world.scripts.retire("narrator", 1, timeout=timedelta(0))).state == "retired"
        endings.add((reached, ended))
        if not reached:
            break
    assert {(True, False), (False, True)} <= endings


async def _over(before: set[asyncio.Task[Any]]) -> bool:
    return not asyncio.all_tasks() - before
