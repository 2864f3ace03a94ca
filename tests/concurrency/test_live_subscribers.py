"""Subscribers of one process: they come and go while others broadcast, and none of them holds up another."""

from __future__ import annotations

import asyncio

import pytest

from livingworld import LiveEvent, LivingWorld, Missed, Story, Subscription, World
from livingworld.errors import Closed
from tests.support.live_checks import append, event, nothing_more, numbers, take
from tests.support.patience import patiently
from tests.support.turn_checks import rows

LISTENING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'"


async def test_a_new_subscriber_that_joins_while_the_old_one_leaves_gets_all(world: World, story: Story) -> None:
    old = world.live.subscribe(story=story.id)
    leaving = await old.__aenter__()
    async with world.live.subscribe(story=story.id) as joined:
        await old.__aexit__(None, None, None)
        async with world.live.subscribe(story=story.id) as hanging:  # reads nothing
            broadcasting = asyncio.create_task(append(world, story.id, 20))
            async with world.live.subscribe(story=story.id) as last:
                assert (await event(joined)).number == 1
                await broadcasting
                first = await event(last)
                assert first.number == last.started_at + 1
            assert await numbers(joined, 19) == list(range(2, 21))
            assert await numbers(hanging, 20) == list(range(1, 21))
    with pytest.raises(StopAsyncIteration):
        await anext(leaving)


async def test_the_last_one_leaves_while_the_next_one_joins_again_and_again(world: World, story: Story) -> None:
    async def come_and_go() -> None:
        for _ in range(20):
            async with world.live.subscribe(story=story.id) as events:
                assert (await event(events)).number > events.started_at

    broadcasting = asyncio.create_task(append(world, story.id, 10_000))
    try:
        async with patiently():
            await asyncio.gather(*(come_and_go() for _ in range(4)))
    finally:
        broadcasting.cancel()
        await asyncio.gather(broadcasting, return_exceptions=True)
    assert world.live._hub._tails == {}


async def test_one_who_never_reads_misses_events_and_holds_up_neither_writers_nor_peers(
    world: World, story: Story
) -> None:
    async with (
        world.live.subscribe(story=story.id, buffer=100) as hanging,
        world.live.subscribe(story=story.id, buffer=2_000) as healthy,
    ):
        reading = asyncio.create_task(numbers(healthy, 1_000))
        async with patiently():
            await asyncio.gather(*(append(world, story.id, 125) for _ in range(8)))
            assert await reading == list(range(1, 1_001))
        assert len(hanging._buffer) <= 100
        (missed,) = await take(hanging, 1)
        assert isinstance(missed, Missed)
        assert missed.count == missed.number >= 900
        assert await numbers(hanging, 1_000 - missed.number) == list(range(missed.number + 1, 1_001))
        await append(world, story.id, 1)
        assert await numbers(hanging, 1) == await numbers(healthy, 1) == [1_001]


async def test_a_subscription_is_closed_by_another_task_while_it_waits(world: World, story: Story) -> None:
    async with world.live.subscribe(story=story.id) as events, world.live.subscribe(story=story.id) as other:
        reading = asyncio.create_task(rest(events))
        await append(world, story.id, 1)
        assert await numbers(other, 1) == [1]
        await asyncio.gather(asyncio.to_thread(lambda: None), append(world, story.id, 5), closing(events))
        assert len(await reading) <= 6
        assert await numbers(other, 5) == [2, 3, 4, 5, 6]
        events.close()


async def rest(events: Subscription) -> list[LiveEvent | Missed]:
    return [item async for item in events]


async def closing(events: Subscription) -> None:
    events.close()


async def test_a_cancelled_wait_loses_nothing(world: World, story: Story) -> None:
    async with world.live.subscribe(story=story.id) as events:
        for number in range(1, 11):
            waiting = asyncio.create_task(anext(events))
            await asyncio.sleep(0)
            writing = asyncio.create_task(append(world, story.id, 1))
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await writing
            assert await numbers(events, 1) == [number]


async def test_a_cancelled_subscribe_leaves_nothing_behind(world: World, story: Story) -> None:
    async def follow() -> None:
        async with world.live.subscribe(story=story.id):
            await asyncio.Event().wait()

    for steps in range(12):
        task = asyncio.create_task(follow())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert world.live._hub._tails == {}


async def test_many_subscribers_share_one_tail_and_one_connection_that_listens(
    database_url: str, world: World, story: Story
) -> None:
    others = [await world.stories.create("x") for _ in range(10)]
    async with asyncio.TaskGroup() as group:
        followed = asyncio.Semaphore(0)
        done = asyncio.Event()

        async def follow(story_id: object) -> None:
            async with world.live.subscribe(story=story_id) as events:  # type: ignore[arg-type]
                followed.release()
                await numbers(events, 1)
                followed.release()
                await done.wait()

        for each in [story] * 50 + others:
            group.create_task(follow(each.id))
        for _ in range(60):
            await followed.acquire()
        assert len(world.live._hub._tails) == 11
        for each in (story, *others):
            await append(world, each.id, 1)
        for _ in range(60):
            await followed.acquire()
        assert len(await rows(database_url, LISTENING)) == 1
        done.set()
    assert world.live._hub._tails == {}


async def test_closing_the_living_world_ends_every_iteration_with_closed(database_url: str) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        following = world.live.subscribe(story=story.id)
        events = await following.__aenter__()
        waiting = asyncio.create_task(anext(events))
        await append(world, story.id, 1)
        assert (await waiting).number == 1
        waiting = asyncio.create_task(anext(events))
        await asyncio.sleep(0)
    with pytest.raises(Closed):
        async with patiently():
            await waiting
    await following.__aexit__(None, None, None)
    with pytest.raises(Closed):
        async with world.live.subscribe(story=story.id):
            pass


async def test_what_came_before_is_not_given(world: World, story: Story) -> None:
    async with world.live.subscribe(story=story.id) as first:
        await append(world, story.id, 2)
        assert await numbers(first, 2) == [1, 2]
        async with world.live.subscribe(story=story.id) as second:
            assert second.started_at == 2
            assert await nothing_more(second)


async def test_a_tail_that_is_over_does_not_take_its_successor_along(world: World, story: Story) -> None:
    hub = world.live._hub
    async with world.live.subscribe(story=story.id):
        former = hub._tails[story.id]
    async with world.live.subscribe(story=story.id) as events:
        former.stop()
        assert hub._tails[story.id] is not former
        async with world.live.subscribe(story=story.id) as second:
            assert len(hub._tails[story.id]._subscriptions) == 2
            await append(world, story.id, 1)
            assert await numbers(events, 1) == await numbers(second, 1)
