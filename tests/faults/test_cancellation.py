"""A call is cancelled at each of its awaits: all or nothing is stored, nothing is left behind, the next call works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

import pytest
import pytest_asyncio

from livingworld import LivingWorld, NewScene, Story, World
from livingworld.app.transaction_scope import TransactionScope
from livingworld.testing.staged_races import Connection
from tests.faults.cancelling import Persistence, cancelled_at
from tests.support.aftermath import assert_nothing_left, count, engine_of, eventually, scene_contents
from tests.support.rotation import rotated

_WAITS_AT_MOST: Final = 200
#: A commit tries the first of the waits, and one of so many parts of the others.
ROTATION: Final = 3


@dataclass(frozen=True, slots=True)
class Case:
    """A call, and the tables that get a row by it: each as many as the others."""

    call: Callable[[World, Story], Coroutine[Any, Any, object]]
    tables: tuple[str, ...]


async def _two_scenes(tx: TransactionScope, story: Story) -> None:
    await tx.stories.append_scene(story.id, NewScene("New.", choices=["Wait"]))
    await tx.characters.get_or_create("Mara")


async def _run(world: World, story: Story) -> None:
    await world.run(lambda tx: _two_scenes(tx, story))


async def _run_with_request_key(world: World, story: Story) -> None:
    await world.run(lambda tx: _two_scenes(tx, story), request_key="once")


async def _transaction(world: World, story: Story) -> None:
    async with world.transaction() as tx:
        await _two_scenes(tx, story)


CASES: Final = {
    "append_scene": Case(
        lambda world, story: world.stories.append_scene(story.id, NewScene("New.", choices=["Wait"])),
        ("scenes",),
    ),
    "append_scene with new names": Case(
        lambda world, story: world.stories.append_scene(story.id, NewScene("New.", cast=["Mara"])),
        ("scenes", "characters", "character_names", "scene_cast"),
    ),
    "get_or_create": Case(lambda world, _: world.characters.get_or_create("Mara"), ("characters", "character_names")),
    "stories.create": Case(lambda world, _: world.stories.create("New."), ("stories", "branches", "timelines")),
    "edit_scene": Case(
        lambda world, story: world.stories.edit_scene(story.id, 1, expected_version=1, content="New."), ("revisions",)
    ),
    "run": Case(_run, ("scenes", "characters", "character_names")),
    "run with a request key": Case(_run_with_request_key, ("scenes", "characters", "request_keys")),
    "transaction": Case(_transaction, ("scenes", "characters", "character_names")),
}


@pytest_asyncio.fixture
async def livingworld(database_url: str, strict_loop: None) -> AsyncIterator[LivingWorld]:
    """Without a proxy: every task of the loop is the test's or the library's."""
    async with LivingWorld.open(database_url=database_url) as opened:
        yield opened


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("persistence", Persistence)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("pool", ["warm", "cold"])
async def test_a_cancelled_call_leaves_all_or_nothing(
    name: str, persistence: Persistence, pool: str, livingworld: LivingWorld, observer: Connection
) -> None:
    case = CASES[name]
    before = asyncio.all_tasks()
    outcomes = set()
    for nth in (1, *rotated(range(2, _WAITS_AT_MOST), ROTATION)):
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        await world.stories.append_scene(story.id, NewScene("First."))
        if pool == "cold":
            await engine_of(livingworld).dispose()
        old = [await count(observer, table, world_id=world.id) for table in case.tables]

        reached, ended = await cancelled_at(case.call(world, story), nth, persistence)

        await _settled(before)
        await assert_nothing_left(livingworld, observer)
        new = [await count(observer, table, world_id=world.id) for table in case.tables]
        stored = {after - earlier for earlier, after in zip(old, new, strict=True)}
        outcomes.add((reached, ended, *stored))
        assert stored == {1} if ended else stored in ({0}, {1})
        await _still_writable(world, story, observer)
        await livingworld.worlds.purge(world.id)
        if not reached:
            break
    assert (True, False, 0) in outcomes
    assert (False, True, 1) in outcomes


async def _settled(before: set[asyncio.Task[Any]]) -> None:
    """Wait for the driver to close what was cancelled; fail when a task goes on for ever."""

    async def over() -> bool:
        return not asyncio.all_tasks() - before

    assert await eventually(over), asyncio.all_tasks() - before


async def _still_writable(world: World, story: Story, observer: Connection) -> None:
    last = await world.stories.append_scene(story.id, NewScene("Last."))
    assert (await scene_contents(observer, story.id))[last.number - 1] == "Last."
    assert (await world.stories.head(story.id)).scene == last
