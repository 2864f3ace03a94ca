"""Appends of one process that meet are written together, and still fail, wait and are cancelled one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from livingworld import NewScene, Scene, Story, World
from livingworld.errors import ChoiceNotFound, StaleHead, StoryNotFound
from livingworld.identifiers import new_id
from livingworld.testing.staged_races import Holder, connected, holding
from tests.support.live_checks import published
from tests.support.staging import THE_STORY, kinds, race, stop
from tests.support.story_checks import broken_promises, read_path


@asynccontextmanager
async def held(url: str, world: World, *stories: Story) -> AsyncIterator[Holder]:
    """Hold the rows of stories as another transaction would."""
    statement = "SELECT FROM livingworld.stories WHERE world_id = $1 AND story_id = ANY ($2::uuid[]) FOR UPDATE"
    async with holding(url, statement, [world.id, [story.id for story in stories]]) as holder:
        yield holder


async def contents(world: World, story: Story) -> list[str]:
    return [scene.content for scene in await world.stories.recent(story.id, 1000)]


async def test_a_held_story_does_not_hold_up_another_one(database_url: str, world: World, story: Story) -> None:
    other = await world.stories.create("Another")
    async with held(database_url, world, story) as holder:
        waiting = asyncio.create_task(world.stories.append_scene(story.id, NewScene("after the wait")))
        free = asyncio.create_task(world.stories.append_scene(other.id, NewScene("at once")))

        stored = await free  # which would end in a LockTimeout if it waited for the held one
        await holder.until_blocked()
        assert not waiting.done()

    assert stored.number == 1
    assert (await waiting).number == 1


async def test_stories_that_are_locked_without_a_wait_are_those_that_are_free(
    database_url: str, world: World, story: Story
) -> None:
    other = await world.stories.create("Another")
    async with held(database_url, world, story), connected(database_url) as connection:
        await connection.execute("SET lock_timeout = '10ms'")  # what waits fails
        lock = "SELECT livingworld.lock_stories_v1($1, false, $2)"
        assert await connection.fetchval(lock, world.id, [story.id, other.id]) == [other.id]


async def test_stories_are_locked_in_the_order_of_their_ids(database_url: str, world: World, story: Story) -> None:
    later = await world.stories.create("Later")
    async with connected(database_url) as waiting, connected(database_url) as other:
        async with held(database_url, world, story) as holder:
            lock = "SELECT livingworld.lock_stories_v1($1, true, $2)"
            locked = asyncio.create_task(waiting.fetchval(lock, world.id, [later.id, story.id, later.id]))
            await holder.until_blocked()
            free = "SELECT story_id FROM livingworld.stories WHERE story_id = $1 FOR UPDATE SKIP LOCKED"
            assert await other.fetchval(free, later.id) == later.id
        assert await locked == [story.id, later.id]


async def test_a_scene_of_a_group_that_is_refused_is_not_published(world: World, story: Story) -> None:
    async with world.live.subscribe(story=story.id) as events:
        stored = world.stories.append_scene(story.id, NewScene("stored"))
        refused = world.stories.append_scene(story.id, NewScene("refused"), expected_head=7)
        results = await asyncio.gather(stored, refused, return_exceptions=True)
        await world.stories.append_scene(story.id, NewScene("after"))
        numbers = [details["scene_number"] for _, details in await published(events, 2)]

    assert kinds(results) == ["Scene", "StaleHead"]
    assert numbers == [1, 2]


async def test_five_held_stories_do_not_hold_up_a_sixth(database_url: str, world: World, story: Story) -> None:
    others = [await world.stories.create(f"Held {number}") for number in range(5)]
    async with held(database_url, world, *others) as holder:
        waiting = []
        for other in others:  # one after the other, so that none is in a group with the next
            waiting.append(asyncio.create_task(world.stories.append_scene(other.id, NewScene("waits"))))
            await holder.until_blocked(count=min(len(waiting), 3))
        stored = await world.stories.append_scene(story.id, NewScene("at once"))
        assert not any(task.done() for task in waiting)

    assert stored.number == 1
    assert [scene.number for scene in await asyncio.gather(*waiting)] == [1] * 5


async def test_scenes_are_stored_in_the_order_in_which_they_were_asked_for(
    database_url: str, world: World, story: Story
) -> None:
    appends = [world.stories.append_scene(story.id, NewScene(f"{number}")) for number in range(150)]
    await race(database_url, THE_STORY, [world.id, story.id], appends, blocked=1)

    assert await contents(world, story) == [f"{number}" for number in range(150)]
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_the_order_is_kept_where_a_scene_takes_a_choice_of_the_one_before(
    database_url: str, world: World, story: Story
) -> None:
    scenes = [NewScene("door", ["open it"])]
    scenes += [NewScene(f"room {number}", ["go on"], chosen_choice=1) for number in range(4)]
    scenes += [NewScene("the end"), NewScene("after the end")]
    appends = [world.stories.append_scene(story.id, scene) for scene in scenes]
    results = await race(database_url, THE_STORY, [world.id, story.id], appends, blocked=1)

    assert kinds(results) == ["Scene"] * 7
    assert await contents(world, story) == [scene.content for scene in scenes]


async def test_each_scene_of_a_group_is_refused_alone(database_url: str, world: World, story: Story) -> None:
    appends = [
        world.stories.append_scene(story.id, NewScene("first"), expected_head=0),
        world.stories.append_scene(story.id, NewScene("too late"), expected_head=0),
        world.stories.append_scene(story.id, NewScene("no such choice", chosen_choice=3)),
        world.stories.append_scene(new_id(), NewScene("no such story")),
        world.stories.append_scene(story.id, NewScene("second"), expected_head=1),
    ]
    results = await asyncio.gather(*appends, return_exceptions=True)

    assert [type(result) for result in results] == [Scene, StaleHead, ChoiceNotFound, StoryNotFound, Scene]
    assert await contents(world, story) == ["first", "second"]


@pytest.mark.parametrize("together", [False, True])
async def test_a_cancelled_append_that_was_not_sent_is_not_written(
    database_url: str, world: World, story: Story, *, together: bool
) -> None:
    async with held(database_url, world, story) as holder:
        sent = asyncio.create_task(world.stories.append_scene(story.id, NewScene("sent")))
        if not together:
            await holder.until_blocked()
        waiting = [asyncio.create_task(world.stories.append_scene(story.id, NewScene(f"{n}"))) for n in range(3)]
        await asyncio.sleep(0)  # they have asked, and nothing has been sent for them
        await stop(waiting[1:2])
        await holder.until_blocked()

    await asyncio.gather(sent, waiting[0], waiting[2])
    assert waiting[1].cancelled()
    assert await contents(world, story) == ["sent", "0", "2"]
    assert await read_path(world, story.id, 1) == [1, 2, 3]


async def test_a_cancelled_append_that_was_sent_is_stored_wholly_or_not_at_all(
    database_url: str, world: World, story: Story
) -> None:
    async with held(database_url, world, story) as holder:
        sent = asyncio.create_task(world.stories.append_scene(story.id, NewScene("sent", ["on"])))
        await holder.until_blocked()
        await stop([sent])
        last = asyncio.create_task(world.stories.append_scene(story.id, NewScene("last")))

    await last
    assert sent.cancelled()
    assert (await contents(world, story))[-1] == "last"
    assert await broken_promises(database_url, world.id, story.id) == []
