"""A worker's round and the end of an action are cancelled at each of their awaits: nothing is lost or done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from livingworld import LivingWorld, NewScene, RunningAction, Story, TransactionScope, World
from livingworld.testing.staged_races import Connection
from tests.faults.cancelling import Persistence, cancelled_at
from tests.support.aftermath import assert_nothing_left, scene_contents
from tests.support.patience import until

_WAITS_AT_MOST: Final = 200


@pytest_asyncio.fixture
async def livingworld(database_url: str, strict_loop: None) -> AsyncIterator[LivingWorld]:
    """Without a proxy: every task of the loop is the test's or the library's."""
    async with LivingWorld.open(database_url=database_url) as opened:
        yield opened


class Teller:
    """Runs an action by a scene in the transaction of its end."""

    def __init__(self, story: Story, nth: int, persistence: Persistence) -> None:
        self.story = story
        self.nth = nth
        self.persistence = persistence
        self.waited = True

    async def effect(self, tx: TransactionScope) -> None:
        """Append the scene."""
        await tx.stories.append_scene(self.story.id, NewScene("New."))

    async def tell(self, running: RunningAction) -> None:
        """End the action."""
        await running.complete(self.effect)

    async def tell_cancelled(self, running: RunningAction) -> None:
        """End the action, cancelled at the nth wait."""
        self.waited, _ = await cancelled_at(running.complete(self.effect), self.nth, self.persistence)
        await asyncio.sleep(0)
        raise asyncio.CancelledError


async def assert_done_once_at_last(world: World, story: Story, observer: Connection) -> None:
    """Fail unless the action waits or is done, with its scene, and is done once by the next worker."""
    (action,) = (await world.actions.commands("mara")).items
    assert (action.state, await scene_contents(observer, story.id)) in (("waiting", []), ("done", ["New."]))
    await world.actions.worker({"tell": Teller(story, 0, Persistence.ONCE).tell}).run_once()
    assert (await world.actions.get(action.id)).state == "done"
    assert await scene_contents(observer, story.id) == ["New."]
    await world.actions.forget("mara", ended_for=action.created_at - action.created_at)


@pytest.mark.rotates(parts=2)
@pytest.mark.parametrize("persistence", Persistence)
@pytest.mark.parametrize("what", ["round", "end"])
async def test_a_cancelled_worker_loses_nothing_and_does_nothing_twice(
    what: str, persistence: Persistence, world: World, livingworld: LivingWorld, observer: Connection
) -> None:
    for nth in range(1, _WAITS_AT_MOST):
        story = await world.stories.create("The Causeway")
        await world.actions.enqueue("mara", "tell")
        teller = Teller(story, nth, persistence)
        if what == "round":
            waited, _ = await cancelled_at(world.actions.worker({"tell": teller.tell}).run_once(), nth, persistence)
        else:
            await world.actions.worker({"tell": teller.tell_cancelled}).run_once()
            waited = teller.waited
        await until_settled(world)
        await assert_nothing_left(livingworld, observer)
        await assert_done_once_at_last(world, story, observer)
        if not waited:
            return
    pytest.fail("it waits more often than is looked at")


async def until_settled(world: World) -> None:
    """Wait for what the library still gives back in the background."""

    async def settled() -> bool:
        return not (await world.actions.size()).running

    await until(settled)
