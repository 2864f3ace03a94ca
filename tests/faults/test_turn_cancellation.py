"""A turn is cancelled at each of its awaits: it is told wholly or not at all, and its request key gives one answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from livingworld import LivingWorld, NewScene, Settings, Story, World
from livingworld.testing.staged_races import Connection, holding
from tests.faults.cancelling import Persistence, cancelled_at
from tests.faults.turns_going_wrong import (
    CASES,
    QUICK,
    assert_told_once,
    assert_wholly_or_not,
    begin,
    play,
    settled,
)
from tests.support.aftermath import count, engine_of
from tests.support.rotation import rotated
from tests.support.staging import THE_STORY
from tests.support.turn_checks import at_once, broken_turns

_WAITS_AT_MOST: Final = 200
#: A commit tries the first of the waits, and one of so many parts of the others.
ROTATION: Final = 3


@pytest_asyncio.fixture
async def livingworld(database_url: str, strict_loop: None) -> AsyncIterator[LivingWorld]:
    async with LivingWorld.open(Settings.load(database_url=database_url, **QUICK)) as opened:
        yield opened


@pytest.mark.rotates(parts=3)
@pytest.mark.parametrize("persistence", Persistence)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("pool", ["warm", "cold"])
async def test_a_cancelled_turn_is_told_wholly_or_not_at_all(
    name: str,
    persistence: Persistence,
    pool: str,
    database_url: str,
    livingworld: LivingWorld,
    observer: Connection,
) -> None:
    call, texts = CASES[name]
    outcomes = set()
    for nth in (1, *rotated(range(2, _WAITS_AT_MOST), ROTATION)):
        world, story = await begin(livingworld)
        if pool == "cold":
            await engine_of(livingworld).dispose()

        reached, ended = await cancelled_at(call(world, story), nth, persistence)

        await assert_wholly_or_not(livingworld, observer, database_url, story, before=1)
        told = await count(observer, "turns", story_id=story.id, state="committed", request_key="once")
        outcomes.add((reached, ended, told))
        assert told == 1 or not ended
        assert await broken_turns(database_url, story.id) == []
        assert (await call(world, story)).content == "Told."
        await assert_told_once(observer, database_url, world, story, texts)
        await livingworld.worlds.purge(world.id)
        if not reached:
            break
    assert (True, False, 0) in outcomes
    assert (False, True, 1) in outcomes


@pytest.mark.parametrize("persistence", Persistence)
async def test_a_cancelled_wait_leaves_the_queue(
    persistence: Persistence, database_url: str, livingworld: LivingWorld, observer: Connection, world: World
) -> None:
    for nth in (1, 2):  # it waits for the answer that it has to wait, and then until it is called
        story = await world.stories.create("The Causeway")
        async with world.turns.take(story.id, request_key="ahead") as turn:
            reached, ended = await cancelled_at(play(world, story), nth, persistence)
            assert reached
            assert not ended
            await assert_wholly_or_not(livingworld, observer, database_url, story, before=0)
            assert await count(observer, "turn_waiters", story_id=story.id) == 0
            await turn.commit(NewScene("First."))
        assert (await play(world, story)).number == 2


async def test_a_take_that_was_cancelled_before_it_was_sent_holds_nothing_later(
    database_url: str, livingworld: LivingWorld, world: World, story: Story
) -> None:
    async with holding(database_url, THE_STORY, [world.id, story.id]) as holder:
        first = asyncio.create_task(world.turns.play(story.id, at_once("first"), request_key="first"))
        await holder.until_blocked()
        second = asyncio.create_task(
            world.turns.play(story.id, at_once("second"), request_key="second", busy="replace")
        )
        for _ in range(3):
            await asyncio.sleep(0)  # it waits in this process for the statement that is under way
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
    await first
    await settled(livingworld)

    assert await broken_turns(database_url, story.id) == []
