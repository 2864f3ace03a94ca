"""What waits or gathers has a limit with an error of its own, and those who are there already go on."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from livingworld import LivingWorld, NewScene, Settings, Story, World
from livingworld.errors import LimitReached, Overloaded
from livingworld.live.presence_writing import MAX_PRESENT
from livingworld.story.turns.rows import MAX_LINE
from livingworld.testing.staged_races import holding
from tests.support.staging import THE_STORY
from tests.support.turn_checks import at_once, rows

_LINE: Final = """
    INSERT INTO livingworld.turn_waiters
        (world_id, story_id, branch_number, ticket, owner, request_key, request_hash, expires_at)
    SELECT world_id, story_id, 1, n, gen_random_uuid(), 'w' || n, '', now() + interval '1 hour'
    FROM livingworld.stories, generate_series(1, $1::integer) n
"""
_CROWD: Final = """
    INSERT INTO livingworld.present_players (world_id, stream_id, player)
    SELECT world_id, world_id, 'p' || n FROM livingworld.worlds, generate_series(1, $1::integer) n
"""


async def test_the_line_of_a_branch_has_an_end(database_url: str, world: World, story: Story) -> None:
    async with world.turns.take(story.id, request_key="ahead") as turn:
        await rows(database_url, _LINE, MAX_LINE)
        with pytest.raises(LimitReached) as refused:
            await world.turns.play(story.id, at_once("x"), request_key="late", busy="queue")
        await rows(database_url, "DELETE FROM livingworld.turn_waiters")
        waiting = asyncio.create_task(world.turns.play(story.id, at_once("Two."), request_key="late", busy="queue"))
        await turn.commit(NewScene("One."))

    assert (refused.value.what, refused.value.limit) == ("MAX_LINE", MAX_LINE)
    assert (await waiting).number == 2


async def test_a_story_that_is_held_does_not_fill_the_queue_of_all(database_url: str) -> None:
    settings = Settings.load(database_url=database_url, story_queue_limit=3)
    async with LivingWorld.open(settings) as livingworld:
        world = await livingworld.worlds.create("w")
        held, free = [await world.stories.create(title) for title in ("held", "free")]
        async with holding(database_url, THE_STORY, (world.id, held.id)) as lock:
            first = asyncio.create_task(world.stories.append_scene(held.id, NewScene("first")))
            await lock.until_blocked()
            tries = [asyncio.create_task(world.stories.append_scene(held.id, NewScene(f"{n}"))) for n in range(9)]
            await world.stories.append_scene(free.id, NewScene("free"))
            refused = [task for task in tries if task.done()]
        ends = await asyncio.gather(first, *tries, return_exceptions=True)

    errors = [end for end in ends if isinstance(end, BaseException)]
    assert len(errors) == len(refused) == 6
    assert all(isinstance(error, Overloaded) and error.setting == "story_queue_limit" for error in errors)


async def test_a_process_has_so_many_subscriptions(database_url: str) -> None:
    settings = Settings.load(database_url=database_url, subscription_limit=2)
    async with LivingWorld.open(settings) as livingworld:
        world = await livingworld.worlds.create("w")
        async with world.live.subscribe(), world.live.subscribe():
            with pytest.raises(Overloaded, match="subscription_limit"):
                async with world.live.subscribe():
                    pass
        async with world.live.subscribe(), world.live.subscribe():
            pass


async def test_a_place_has_so_many_players(database_url: str, world: World) -> None:
    await rows(database_url, _CROWD, MAX_PRESENT)

    with pytest.raises(LimitReached, match="MAX_PRESENT"):
        await world.presence.join("one too many")
    await world.presence.join("p1")
