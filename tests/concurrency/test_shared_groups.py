"""How requests share statements: where much waits several work at once, and what others have is tried once together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from livingworld import LivingWorld, NewScene, Story, World
from livingworld.postgres.group_commit import group_commit, pacing
from livingworld.testing.protocol_proxy import ProtocolProxy, protocol_proxy
from livingworld.testing.staged_races import holding
from tests.support.staging import same_world
from tests.support.story_checks import broken_promises

HELD = "SELECT FROM livingworld.stories WHERE story_id = ANY ($1::uuid[]) FOR UPDATE"


@asynccontextmanager
async def behind_a_proxy(url: str, world: World) -> AsyncIterator[tuple[World, ProtocolProxy]]:
    """Open the world once more, where its statements are seen."""
    async with protocol_proxy(url) as proxy, LivingWorld.open(database_url=proxy.url) as livingworld:
        yield await livingworld.worlds.get(world.id), proxy


async def stories_of(world: World, count: int) -> list[Story]:
    return [await world.stories.create(f"{number}") for number in range(count)]


def appends_seen(proxy: ProtocolProxy) -> int:
    return sum("livingworld.append_" in statement for statement in proxy.statements)


async def append_to_all(world: World, stories: list[Story]) -> list[int]:
    appends = (world.stories.append_scene(story.id, NewScene("x")) for story in stories)
    return [scene.number for scene in await asyncio.gather(*appends)]


@pytest.mark.parametrize(("requests", "statements"), [(1, 1), (8, 1), (16, 2), (96, 2)])
async def test_what_waits_is_shared_among_the_statements_that_pay(
    database_url: str, world: World, monkeypatch: pytest.MonkeyPatch, requests: int, statements: int
) -> None:
    monkeypatch.setattr(group_commit, "_OVERDUE", timedelta(minutes=1))
    stories = await stories_of(world, requests)
    async with behind_a_proxy(database_url, world) as (same, proxy):
        numbers = await append_to_all(same, stories)

    assert numbers == [1] * requests
    assert appends_seen(proxy) == statements


async def test_stories_that_others_have_for_a_moment_are_tried_once_more_together(
    database_url: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_OVERDUE", timedelta(minutes=1))
    stories = await stories_of(world, 8)
    async with behind_a_proxy(database_url, world) as (same, proxy):
        async with holding(database_url, HELD, [[story.id for story in stories]]) as holder:
            appends = asyncio.create_task(append_to_all(same, stories))
            assert len(await holder.until_blocked()) == 1
        assert await appends == [1] * 8
        assert appends_seen(proxy) == 2
        assert await append_to_all(same, stories) == [2] * 8


async def test_a_process_that_met_a_group_of_others_waits_for_the_next_one_at_once(
    database_url: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_OVERDUE", timedelta(minutes=1))
    monkeypatch.setattr(pacing, "_CROWDED_SECONDS", 60)
    stories = await stories_of(world, 8)
    async with behind_a_proxy(database_url, world) as (same, proxy):
        for number, statements in ((1, 2), (2, 3)):
            async with holding(database_url, HELD, [[story.id for story in stories]]) as holder:
                appends = asyncio.create_task(append_to_all(same, stories))
                assert len(await holder.until_blocked()) == 1
            assert await appends == [number] * 8
            assert appends_seen(proxy) == statements


async def test_one_story_that_another_has_is_no_crowd(
    database_url: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_OVERDUE", timedelta(minutes=1))
    monkeypatch.setattr(pacing, "_CROWDED_SECONDS", 60)
    stories = await stories_of(world, 8)
    async with behind_a_proxy(database_url, world) as (same, proxy):
        for held, statements in ((stories[0], 2), (stories[1], 4)):
            async with holding(database_url, HELD, [[held.id]]) as holder:
                appends = [asyncio.create_task(append_to_all(same, [story])) for story in stories if story != held]
                its_own = asyncio.create_task(append_to_all(same, [held]))
                await holder.until_blocked()
                await asyncio.gather(*appends)
                assert not its_own.done()
            await its_own
            assert appends_seen(proxy) == statements


async def test_a_story_that_others_have_for_longer_holds_up_none_of_those_it_was_tried_with(
    database_url: str, world: World
) -> None:
    stories = await stories_of(world, 8)
    async with same_world(database_url, world.id, pools=1, prompt_lock_timeout=0.025) as (same,):
        async with holding(database_url, HELD, [[story.id for story in stories[:2]]]) as held:
            appends = [asyncio.create_task(same.stories.append_scene(story.id, NewScene("x"))) for story in stories]
            await asyncio.gather(*appends[2:])
            await held.until_blocked(count=2)
            assert not any(append.done() for append in appends[:2])
        assert [scene.number for scene in await asyncio.gather(*appends)] == [1] * 8


async def test_four_processes_on_the_same_stories_lose_and_double_nothing(database_url: str, world: World) -> None:
    stories = await stories_of(world, 8)
    async with same_world(database_url, world.id, pools=4, prompt_lock_timeout=0.025) as worlds:
        numbers = await asyncio.gather(*(append_to_all(each, stories * 4) for each in worlds))

    assert sorted(number for each in numbers for number in each) == sorted([*range(1, 17)] * 8)
    for story in stories:
        assert await broken_promises(database_url, world.id, story.id) == []
