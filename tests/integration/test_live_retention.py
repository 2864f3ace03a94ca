"""How long past events can be read, and what a follower that comes too late gets instead."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from livingworld import LivingWorld, Missed, Story, Subscription, World
from livingworld.errors import WorldNotFound
from livingworld.live import following
from livingworld.live.following import remove_left
from livingworld.testing.staged_races import connected
from tests.support.live_checks import append, numbers, take
from tests.support.turn_checks import rows, until_found

KEPT: Final = "SELECT event_number FROM livingworld.live_events WHERE stream_id = $1 ORDER BY event_number"
FOLLOWED_FOR: Final = "SELECT followed_until > now() + $1::interval FROM livingworld.live_streams"
RENEWED: Final = """
    SELECT count(*) FROM livingworld.live_streams WHERE followed_until > now() + interval '9 minutes'
    HAVING count(*) = 2
"""
EXPIRE: Final = "UPDATE livingworld.live_streams SET followed_until = now() - interval '1 second'"
NEARLY: Final = "UPDATE livingworld.live_streams SET followed_until = now() + interval '30 seconds'"


async def follow_some(world: World, story: Story, count: int) -> int:
    """Follow while scenes are appended, and return the position at the end."""
    async with world.live.subscribe(story=story.id) as events:
        await append(world, story.id, count)
        await numbers(events, count)
        return events.position


async def execute(url: str, statement: str) -> None:
    async with connected(url) as connection:
        await connection.execute(statement)


async def missed(events: Subscription) -> Missed:
    (item,) = await take(events, 1)
    assert isinstance(item, Missed), item
    return item


@pytest.mark.parametrize("end", [EXPIRE, NEARLY])
async def test_who_comes_back_after_the_follow_has_ended_is_told_that_events_were_missed(
    database_url: str, world: World, story: Story, end: str
) -> None:
    position = await follow_some(world, story, 3)
    await execute(database_url, EXPIRE)
    await append(world, story.id, 2)  # without a follower
    await world.branches.undo(story.id)
    await execute(database_url, end)
    async with world.live.subscribe(story=story.id, after=position) as events:
        item = await missed(events)
        assert (item.count, item.number) == (None, 4)
        await append(world, story.id, 2)
        assert await numbers(events, 2) == [5, 6]
    async with world.live.subscribe(story=story.id, after=item.number) as again:
        assert await numbers(again, 2) == [5, 6]


async def test_a_subscriber_whose_follow_lapsed_is_told_and_goes_on(
    database_url: str, world: World, story: Story
) -> None:
    async with world.live.subscribe(story=story.id) as events:
        await append(world, story.id, 1)
        assert await numbers(events, 1) == [1]
        await execute(database_url, EXPIRE)
        await append(world, story.id, 1)
        assert await world.live._hub.renew()
        assert (await missed(events)).number == 2
        await append(world, story.id, 1)
        assert await numbers(events, 1) == [3]


async def test_a_follow_that_is_renewed_in_time_goes_on(database_url: str, world: World, story: Story) -> None:
    async with world.live.subscribe(story=story.id) as events:
        await execute(database_url, NEARLY.replace("30 seconds", "2 minutes"))
        assert await world.live._hub.renew()
        assert await rows(database_url, FOLLOWED_FOR, timedelta(minutes=9)) == [(True,)]
        await append(world, story.id, 1)
        assert await numbers(events, 1) == [1]


async def test_follows_are_renewed_in_the_background(
    database_url: str, world: World, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LENGTH", timedelta(milliseconds=30))  # the pause between renewals is made of it
    async with world.live.subscribe(story=story.id), world.live.subscribe():
        await execute(database_url, NEARLY.replace("30 seconds", "2 minutes"))
        await until_found(database_url, RENEWED)


async def test_a_renewal_does_not_shorten_what_another_process_holds(
    database_url: str, world: World, story: Story
) -> None:
    await follow_some(world, story, 1)
    await execute(database_url, "UPDATE livingworld.live_streams SET followed_until = now() + interval '1 hour'")
    await follow_some(world, story, 1)

    assert await rows(database_url, FOLLOWED_FOR, timedelta(minutes=50)) == [(True,)]


async def test_only_the_last_events_are_kept_and_who_comes_for_older_ones_is_told(
    database_url: str, world: World, story: Story
) -> None:
    async with world.live.subscribe(story=story.id) as events:
        await append(world, story.id, 8)
        await numbers(events, 8)
        world.live._hub.kept = 3
        assert await world.live._hub.renew()
        assert await rows(database_url, KEPT, story.id) == [(6,), (7,), (8,)]
        async with world.live.subscribe(story=story.id, after=2) as late:
            assert (await missed(late)).number == 5
            assert await numbers(late, 3) == [6, 7, 8]
        async with world.live.subscribe(story=story.id, after=5) as just:
            assert await numbers(just, 3) == [6, 7, 8]
        await append(world, story.id, 1)
        assert await numbers(events, 1) == [9]


async def test_a_tail_that_is_behind_what_is_kept_says_so(database_url: str, world: World, story: Story) -> None:
    async with world.live.subscribe(story=story.id) as events:
        await execute(database_url, "UPDATE livingworld.live_streams SET last_number = 70, kept_after = 70")
        assert (await missed(events)).number == 70
        await append(world, story.id, 1)
        assert await numbers(events, 1) == [71]


async def test_a_number_that_was_never_given_out_tells_of_another_past(world: World, story: Story) -> None:
    await follow_some(world, story, 2)
    async with world.live.subscribe(story=story.id, after=99) as events:
        assert (await missed(events)).number == 2
        await append(world, story.id, 1)
        assert await numbers(events, 1) == [3]


async def test_what_nobody_follows_any_more_is_removed_by_whoever_follows_something(
    database_url: str, world: World, story: Story
) -> None:
    position = await follow_some(world, story, 3)
    await execute(database_url, EXPIRE)
    other = await world.stories.create("Another")
    async with world.live.subscribe(story=other.id):
        assert await world.live._hub.renew()
    assert await rows(database_url, KEPT, story.id) == []
    async with world.live.subscribe(story=story.id, after=position) as events:
        assert (await missed(events)).number == position + 1


async def test_the_purge_of_a_world_takes_its_streams_along(
    database_url: str, livingworld: LivingWorld, world: World, story: Story
) -> None:
    async with world.live.subscribe(story=story.id), world.live.subscribe() as events:
        await append(world, story.id, 1)
        await world.documents.increment("gold")
        await numbers(events, 1)
        await livingworld.worlds.purge(world.id)
        with pytest.raises(WorldNotFound):
            await take(events, 1)
    assert await rows(database_url, "SELECT FROM livingworld.live_streams") == []
    with pytest.raises(WorldNotFound):
        async with world.live.subscribe():
            pass


async def test_what_is_followed_again_is_not_removed(database_url: str, world: World, story: Story) -> None:
    async with world.live.subscribe(story=story.id) as events:
        await append(world, story.id, 2)
        await world._unit.write(remove_left, story.id)
        assert await numbers(events, 2) == [1, 2]
        assert await rows(database_url, KEPT, story.id) == [(1,), (2,)]
