"""Turns, leases, locks, actions and live events across processes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from livingworld import LiveEvent, NewScene, Turn
from livingworld.errors import Busy, Fenced, LeaseHeld
from livingworld.testing.conformance.conftest import Processes

pytestmark = pytest.mark.asyncio


async def test_equal_turns_ask_the_model_once(processes: Processes) -> None:
    """Prove that one of the requests with a key generates, and that the others receive its scene, in any process."""
    asked = 0

    async def narrate(_: Turn) -> NewScene:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return NewScene("A lantern.")

    playing = (
        world.turns.play(processes.story.id, narrate, request_key="click")
        for _ in range(4)
        for world in (processes.world, processes.elsewhere)
    )
    scenes = await asyncio.gather(*playing)
    assert (asked, {scene.number for scene in scenes}) == (1, {1})


async def test_one_turn_at_a_time(processes: Processes) -> None:
    """Prove that a lease in a row excludes the other process while nothing is locked and no connection is held."""
    async with processes.world.turns.take(processes.story.id, request_key="one") as turn:
        with pytest.raises(Busy):
            async with processes.elsewhere.turns.take(processes.story.id, request_key="two"):
                pass
        await turn.commit(NewScene("One."))


async def test_who_was_replaced_writes_nothing(processes: Processes) -> None:
    """Prove that a token is compared under the lock: the commit of an overtaken owner is refused."""
    async with processes.world.turns.take(processes.story.id, request_key="one") as turn:
        async with processes.elsewhere.turns.take(processes.story.id, request_key="two", busy="replace") as other:
            await other.commit(NewScene("Two."))
        with pytest.raises(Fenced):
            await turn.commit(NewScene("One."))

    scenes = (await processes.world.stories.scenes(processes.story.id)).items
    assert [scene.content for scene in scenes] == ["Two."]


async def test_a_lease_has_one_owner(processes: Processes) -> None:
    """Prove that a lease excludes the other process, and that its token rises."""
    async with processes.world.leases.hold("market") as first:
        with pytest.raises(LeaseHeld):
            async with processes.elsewhere.leases.hold("market"):
                pass
    async with processes.elsewhere.leases.hold("market") as second:
        assert second.token > first.token


async def test_a_lock_of_the_world_excludes_every_process(processes: Processes) -> None:
    """Prove that advisory locks of transactions reach both processes."""
    async with processes.world.locks.exclusive("market", timeout=timedelta(seconds=10)):

        async def other() -> bool:
            async with processes.elsewhere.locks.try_exclusive("market") as tx:
                return tx is None

        assert await other()


async def test_an_action_is_claimed_by_one_worker(processes: Processes) -> None:
    """Prove that SKIP LOCKED and the lane's row give an action to one worker, whatever asks at once."""
    await processes.world.actions.enqueue("mara", "walk")
    claiming = (world.actions.claim() for _ in range(4) for world in (processes.world, processes.elsewhere))
    claimed = [action for actions in await asyncio.gather(*claiming) for action in actions]

    assert len(claimed) == 1
    await processes.world.actions.complete(claimed[0])
    assert (await processes.elsewhere.actions.get(claimed[0].id)).state == "done"


async def test_live_events_come_once_and_in_order(processes: Processes) -> None:
    """Prove that events reach another process by notifications or by polling, without a gap."""
    numbers = []
    async with processes.elsewhere.live.subscribe(story=processes.story.id) as events:
        for number in range(5):
            await processes.world.stories.append_scene(processes.story.id, NewScene(str(number)))
        async with asyncio.timeout(60):
            async for event in events:
                assert isinstance(event, LiveEvent)
                numbers += [event.details["scene_number"]] if event.kind == "scene appended" else []
                if len(numbers) == 5:
                    break
    assert numbers == [1, 2, 3, 4, 5]
