"""A held story stops its own writers only."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from livingworld import LivingWorld, NewScene, Settings, Story, Subject, World
from livingworld.observability import events
from livingworld.testing.recorded_events import recorded_events
from livingworld.testing.staged_races import connected
from tests.isolation.regimes import every_write, held, play, running, while_held
from tests.support.patience import until
from tests.support.staging import kinds

#: Of ten connections so many may wait for locks of calls that met a held row.
PLACES = 2
LONG_LOOK = timedelta(milliseconds=500)
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.mark.usefixtures("patient_locks")
async def test_held_stories_of_three_worlds_hold_up_no_other_story(database_url: str, livingworld: LivingWorld) -> None:
    worlds = [await livingworld.worlds.create(f"World {number}") for number in range(3)]
    stuck = [(world, await world.stories.create("Held")) for world in worlds for _ in range(5)]
    healthy = [(world, await world.stories.create("Healthy")) for world in worlds]
    async with held(database_url, [story for _, story in stuck]) as holder:
        calls = [call for world, story in stuck for call in every_write(world, story)]
        async with running(calls) as waiting:
            await holder.until_blocked(count=PLACES)
            uses = [_use(world, story) for world, story in healthy]
            answers = [answer for each in zip(*uses, strict=True) for answer in await while_held(each)]

            assert {type(answer).__name__ for answer in answers} == {"Scene", "Story", "StoryHead", "Fact"}
            assert not any(task.done() for task in waiting)


def _use(world: World, story: Any) -> list[Any]:  # noqa: ANN401
    return [
        world.stories.append_scene(story.id, NewScene("at once")),
        world.stories.head(story.id),
        world.stories.get(story.id),
        world.facts.set(story.id, Subject("weather"), "sky", "clear"),
        play(world, story.id),
    ]


async def test_a_story_with_its_own_traffic_is_not_held_up_by_four_held_ones(database_url: str, world: World) -> None:
    stuck = [await world.stories.create(f"Held {number}") for number in range(4)]
    busy = await world.stories.create("Busy")
    async with held(database_url, stuck) as holder:
        appends = [world.stories.append_scene(story.id, NewScene("waits")) for story in stuck]
        async with running(appends) as waiting:
            await holder.until_blocked(count=PLACES)
            for number in range(20):
                answers = await while_held(
                    [
                        world.stories.append_scene(busy.id, NewScene("on")),
                        world.facts.set(busy.id, Subject("weather"), "sky", number),
                        world.stories.append_scene(busy.id, NewScene("and on")),
                    ]
                )
                assert kinds(answers) == ["Fact", "Scene", "Scene"]
            assert not any(task.done() for task in waiting)


async def test_what_waited_is_written_once_the_story_is_free(database_url: str, world: World) -> None:
    stuck = [await world.stories.create(f"Held {number}") for number in range(12)]
    async with held(database_url, stuck) as holder:
        calls = [call for story in stuck for call in every_write(world, story)]
        tasks = [asyncio.create_task(call) for call in calls]
        await holder.until_blocked(count=PLACES)
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    refused = {type(answer).__name__ for answer in answers} - {"Scene", "Story", "Fact"}
    assert refused <= {"StaleHead"}  # a turn whose branch moved on between its two statements
    for story in stuck:
        assert len(await world.stories.recent(story.id, 10)) in {2, 3}


async def test_one_connection_at_most_waits_for_one_story(database_url: str, world: World) -> None:
    story = await world.stories.create("Held")
    async with held(database_url, [story]) as holder, connected(database_url) as observer:
        calls = [call for _ in range(12) for call in every_write(world, story)]
        async with running(calls):
            await holder.until_blocked()
            await _until_settled(world)
            assert {await observer.fetchval(WAITING) for _ in range(50)} <= {0, 1}


async def test_a_second_waiter_for_a_story_takes_no_connection(database_url: str, world: World, story: Story) -> None:
    """A long first try, so that a newcomer who took one would be seen waiting."""
    limits = {"prompt_lock_timeout": LONG_LOOK, "lock_timeout": timedelta(seconds=20)}
    async with LivingWorld.open(Settings.load(database_url=database_url, **limits)) as livingworld:
        same = await livingworld.worlds.get(world.id)
        first = [same.stories.update(story.id, expected_version=1, title="first")]
        newcomers = [same.facts.set(story.id, Subject("sky"), f"{number}", 1) for number in range(12)]
        async with (
            held(database_url, [story]) as holder,
            connected(database_url) as observer,
            running(first),
        ):
            with recorded_events() as recorded:
                await until(lambda: recorded.of(events.LOCK_AWAITED))
            await holder.until_blocked()
            async with running(newcomers):
                assert {await observer.fetchval(WAITING) for _ in range(100)} == {1}


async def _until_settled(world: World) -> None:
    """Wait until what came before has had its first look: a call of another story goes through the same pool."""
    other = await world.stories.create("Other")
    for _ in range(20):
        await world.stories.get(other.id)


async def test_transactions_of_the_application_leave_connections_to_others(database_url: str, world: World) -> None:
    story, other = await world.stories.create("Held"), await world.stories.create("Healthy")

    async def hold_on() -> None:
        async with world.transaction() as tx:
            await tx.stories.update(story.id, expected_version=1, title="Waits")

    async with held(database_url, [story]) as holder, running([hold_on() for _ in range(20)]) as waiting:
        await holder.until_blocked(count=6)
        answers = await while_held([world.stories.head(other.id), world.stories.append_scene(other.id, NewScene("x"))])

        assert kinds(answers) == ["Scene", "StoryHead"]
        assert not any(task.done() for task in waiting)
