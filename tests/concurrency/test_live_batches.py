"""Follows that begin together: few statements, and each waits for the writers of its own story only."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final
from uuid import UUID

import pytest

from livingworld import LivingWorld, Story, Subscription, World
from livingworld.errors import StoryNotFound
from livingworld.identifiers import new_id
from livingworld.testing.protocol_proxy import protocol_proxy
from livingworld.testing.staged_races import holding
from tests.support.live_checks import append, numbers
from tests.support.patience import patiently
from tests.support.quiet import open_quietly
from tests.support.staging import THE_STORY
from tests.support.turn_checks import rows, until_found

HOLD_STREAM: Final = "SELECT FROM livingworld.live_streams WHERE world_id = $1 AND stream_id = $2 FOR NO KEY UPDATE"
NEARLY: Final = "UPDATE livingworld.live_streams SET followed_until = now() + interval '2 minutes' RETURNING stream_id"
RENEWED: Final = """
    SELECT FROM livingworld.live_streams WHERE stream_id = $1 AND followed_until > now() + interval '9 minutes'
"""


async def follow_all(stack: AsyncExitStack, world: World, story_ids: list[UUID]) -> list[Subscription]:
    """Begin to follow many stories at the same moment."""
    entering = [stack.enter_async_context(world.live.subscribe(story=story_id)) for story_id in story_ids]
    async with patiently():
        return await asyncio.gather(*entering)


async def test_three_hundred_follows_that_begin_together_are_a_few_statements(database_url: str) -> None:
    async with protocol_proxy(database_url) as proxy, open_quietly(proxy.url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story_ids = [(await world.stories.create("x")).id for _ in range(300)]
        async with AsyncExitStack() as stack:
            await follow_all(stack, world, story_ids[:2])  # new connections ask for types and limits first
            proxy.statements.clear()
            await follow_all(stack, world, story_ids)
            begun = list(proxy.statements)
            await append(world, story_ids[-1], 1)

    assert len(begun) <= 40, begun


async def test_a_story_that_is_held_holds_up_no_other_follow(database_url: str, world: World, story: Story) -> None:
    others = [(await world.stories.create("x")).id for _ in range(3)]
    async with AsyncExitStack() as stack:
        async with holding(database_url, THE_STORY, [world.id, story.id]) as holder:
            held = world.live.subscribe(story=story.id)
            entering = asyncio.create_task(stack.enter_async_context(held))
            followed = await follow_all(stack, world, others)
            for other, events in zip(others, followed, strict=True):
                await append(world, other, 1)
                assert await numbers(events, 1) == [1]
            await holder.until_blocked()
            assert not entering.done()
        async with patiently():
            events = await entering
        await append(world, story.id, 1)
        assert await numbers(events, 1) == [1]


async def test_what_does_not_exist_refuses_its_own_follow_only(world: World, story: Story) -> None:
    async with AsyncExitStack() as stack:
        entering = [
            stack.enter_async_context(world.live.subscribe(story=story_id)) for story_id in (new_id(), story.id)
        ]
        missing, events = await asyncio.gather(*entering, return_exceptions=True)
        assert isinstance(missing, StoryNotFound)
        assert isinstance(events, Subscription)
        await append(world, story.id, 1)
        assert await numbers(events, 1) == [1]


async def test_a_follow_that_another_process_has_begun_is_joined_in_a_batch(
    database_url: str, world: World, story: Story
) -> None:
    other = await world.stories.create("x")
    async with world.live.subscribe(story=story.id) as first, LivingWorld.open(database_url=database_url) as elsewhere:
        await append(world, story.id, 2)
        there = await elsewhere.worlds.get(world.id)
        async with AsyncExitStack() as stack:
            joined, new = await follow_all(stack, there, [story.id, other.id])
            assert (joined.started_at, new.started_at) == (2, 0)
            await append(world, story.id, 1)
            assert await numbers(joined, 1) == [3]
            assert await numbers(first, 3) == [1, 2, 3]


async def test_a_writer_that_holds_one_stream_holds_up_no_other_renewal(
    database_url: str, world: World, story: Story
) -> None:
    other = await world.stories.create("x")
    async with world.live.subscribe(story=story.id), world.live.subscribe(story=other.id):
        await rows(database_url, NEARLY)
        async with holding(database_url, HOLD_STREAM, [world.id, story.id]) as holder:
            renewing = asyncio.create_task(world.live._hub.renew())
            await until_found(database_url, RENEWED, other.id)
            await holder.until_blocked()
        assert await renewing
        await until_found(database_url, RENEWED, story.id)


async def test_a_batch_whose_server_is_away_refuses_each_follow(world: World, story: Story) -> None:
    other = await world.stories.create("x")
    await world._shared.services.background._database.close()
    for following in await asyncio.gather(
        *(world.live.subscribe(story=each.id).__aenter__() for each in (story, other)), return_exceptions=True
    ):
        with pytest.raises(Exception, match="closed"):
            raise following  # type: ignore[misc]
    assert world.live._hub._tails == {}
