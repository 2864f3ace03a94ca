"""The server ends sessions: a follower loses nothing that was committed."""

from __future__ import annotations

from typing import Final

from livingworld import LivingWorld, NewScene, Settings, Story, World
from livingworld.testing.staged_races import connected
from tests.support.live_checks import numbers
from tests.support.turn_checks import rows, until_found

LISTENS: Final = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
KILL: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE $1
"""


async def kill(url: str, sessions: str) -> None:
    async with connected(url) as observer:
        assert await observer.fetch(KILL, sessions)


async def test_without_the_connection_that_listens_polling_brings_every_event(
    database_url: str, world: World, story: Story
) -> None:
    async with world.live.subscribe(story=story.id) as events:
        await until_found(database_url, LISTENS)
        for number in range(1, 6):
            await kill(database_url, "LISTEN%")
            async with connected(database_url) as silent:  # it sends no notification
                await silent.execute(
                    "SELECT livingworld.publish_events_v1($1, ARRAY[$2::uuid], ARRAY['scene appended'], ARRAY['{}'])",
                    world.id,
                    story.id,
                )
            assert await numbers(events, 1) == [number]
            await until_found(database_url, LISTENS)


async def test_when_every_session_is_ended_again_and_again_nothing_is_lost_or_told_twice(
    database_url: str, world: World, story: Story
) -> None:
    async with world.live.subscribe(story=story.id) as events:
        for round_number in range(5):
            for number in range(4):
                key = f"{round_number} {number}"  # a write with a key may be repeated
                await world.stories.append_scene(story.id, NewScene("x"), request_key=key)
            await kill(database_url, "%")
        assert await numbers(events, 20) == list(range(1, 21))
        await world.stories.append_scene(story.id, NewScene("x"), request_key="last")
        assert await numbers(events, 1) == [21]


async def test_where_no_notification_can_arrive_polling_brings_the_events_of_others(
    database_url: str, world: World, story: Story
) -> None:
    settings = Settings.load(database_url=database_url, behind_pooler=True)
    async with LivingWorld.open(settings) as livingworld:
        deaf = await livingworld.worlds.get(world.id)
        async with deaf.live.subscribe(story=story.id) as events:
            for number in range(1, 4):
                await world.stories.append_scene(story.id, NewScene("x"))
                assert await numbers(events, 1) == [number]
        assert await rows(database_url, LISTENS) == []
