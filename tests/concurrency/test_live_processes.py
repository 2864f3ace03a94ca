"""A story that two real processes write and follow: every event once and in order, also after a reconnect."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from livingworld import LiveEvent, LivingWorld, Settings, Story, World
from tests.concurrency.programs import PlayerProcess, running
from tests.support.live_checks import append, nothing_more, numbers, take
from tests.support.patience import NEVER
from tests.support.turn_checks import rows, until_found

PROGRAM: Final = Path(__file__).with_name("live_program.py")
IT_LISTENS: Final = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
IN_ORDER_OF_COMMITS: Final = """
    SELECT event_number, (details ->> 'scene_number')::integer AS scene_number FROM livingworld.live_events
    WHERE stream_id = $1 ORDER BY event_number
"""


def follower(url: str, world: World, story: Story) -> AbstractAsyncContextManager[PlayerProcess]:
    return running(PROGRAM, url, world.id, story.id)


async def test_eight_writers_in_two_processes_are_heard_by_both_once_and_in_the_order_of_commits(
    database_url: str, world: World, story: Story
) -> None:
    async with follower(database_url, world, story) as one, follower(database_url, world, story) as other:
        assert [await one.do("follow -"), await other.do("follow -")] == ["0", "0"]
        async with world.live.subscribe(story=story.id) as events:
            one.say("append 60")
            other.say("append 60")
            items = await take(events, 120)
            assert [await one.hear(), await other.hear()] == ["done", "done"]
            assert await nothing_more(events)
        received = [await one.do("receive 120"), await other.do("receive 120")]

    assert received == [" ".join(map(str, range(1, 121)))] * 2
    stored = await rows(database_url, IN_ORDER_OF_COMMITS, story.id)
    assert [tuple(row) for row in stored] == [(number, number) for number in range(1, 121)]
    published = [(item.number, item.details["scene_number"]) for item in items if isinstance(item, LiveEvent)]
    assert published == [tuple(row) for row in stored]


async def test_who_reconnects_to_another_process_gets_exactly_the_rest(
    database_url: str, world: World, story: Story
) -> None:
    async with follower(database_url, world, story) as other:
        async with world.live.subscribe(story=story.id) as events:
            await append(world, story.id, 5)
            assert await numbers(events, 3) == [1, 2, 3]
        await append(world, story.id, 3)  # no subscriber is left, but the follow lasts for a while
        assert await other.do(f"follow {events.position}") == "3"
        assert await other.do("receive 5") == "4 5 6 7 8"
        await append(world, story.id, 1)
        assert await other.do("receive 1") == "9"


async def test_a_follower_that_dies_leaves_what_its_successor_goes_on_with(
    database_url: str, world: World, story: Story
) -> None:
    async with follower(database_url, world, story) as one:
        assert await one.do("follow -") == "0"
        await append(world, story.id, 2)
        assert await one.do("receive 2") == "1 2"
        await one.kill()
        await append(world, story.id, 700)
    async with world.live.subscribe(story=story.id, after=2) as events:
        assert await numbers(events, 700) == list(range(3, 703))
        await append(world, story.id, 1)
        assert await numbers(events, 1) == [703]


async def test_an_event_is_heard_in_another_process_without_polling(
    database_url: str, world: World, story: Story
) -> None:
    settings = Settings.load(database_url=database_url, poll_interval=NEVER, turn_lease=4 * NEVER)
    async with (
        LivingWorld.open(settings) as livingworld,
        follower(database_url, world, story) as other,
    ):
        here = await livingworld.worlds.get(world.id)
        async with here.live.subscribe(story=story.id) as events:
            await until_found(database_url, IT_LISTENS)
            for _ in range(3):
                other.say("append 4")
                await take(events, 4)
                assert await other.hear() == "done"
