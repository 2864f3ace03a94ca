"""A holder that was paused and thawed after a takeover: two real processes, SIGSTOP, and clocks that are wrong."""

from __future__ import annotations

import pytest

from livingworld import Story, World
from tests.concurrency.turn_players import expire, player
from tests.support.story_checks import broken_promises, read_path
from tests.support.turn_checks import broken_turns, rows, until_found

HOUR = 3600.0
MOST_OF_THE_LEASE_GOES_BY = "UPDATE livingworld.turn_leases SET expires_at = expires_at - interval '48 minutes'"
RENEWED = "SELECT FROM livingworld.turn_leases WHERE expires_at > now() + interval '30 minutes'"


async def test_a_thawed_holder_is_fenced_and_no_row_changes(database_url: str, world: World, story: Story) -> None:
    async with player(database_url, world, story) as first, player(database_url, world, story) as second:
        assert await first.do("take first queue") == "taken first"
        first.pause()
        await expire(database_url)
        assert await second.do("take second queue") == "taken second"
        before = await everything(database_url)
        first.thaw()
        assert await first.do("commit too-late") == "Fenced"
        assert await everything(database_url) == before
        assert await second.do("commit the-second") == "committed 1"

    assert await read_path(world, story.id, 1) == [1]
    assert (await world.stories.scene(story.id, 1)).content == "the-second"
    assert await rows(
        database_url, "SELECT request_key, state, error FROM livingworld.generations ORDER BY request_key"
    ) == [("first", "failed", "the lease expired"), ("second", "complete", None)]
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_a_living_holder_keeps_its_turn_far_beyond_the_lease(
    database_url: str, world: World, story: Story
) -> None:
    async with player(database_url, world, story) as first, player(database_url, world, story) as second:
        assert await first.do("take first queue") == "taken first"
        for _ in range(4):
            await rows(database_url, MOST_OF_THE_LEASE_GOES_BY)
            await until_found(database_url, RENEWED)
        assert await second.do("take second reject") == "Busy"
        assert await first.do("commit the-first") == "committed 1"

    assert await broken_turns(database_url, story.id) == []


@pytest.mark.rotates(parts=2)
@pytest.mark.parametrize(("one", "other"), [(HOUR, -HOUR), (-HOUR, HOUR)])
async def test_clocks_that_are_an_hour_wrong_change_nothing(
    database_url: str, world: World, story: Story, one: float, other: float
) -> None:
    async with (
        player(database_url, world, story, clock_offset=one) as first,
        player(database_url, world, story, clock_offset=other) as second,
    ):
        assert await first.do("take first reject") == "taken first"
        assert await second.do("take second reject") == "Busy"
        assert await first.do("commit the-first") == "committed 1"
        assert await second.do("take second reject") == "taken second"
        second.pause()
        await expire(database_url)
        assert await first.do("take third queue") == "taken third"
        second.thaw()
        assert await second.do("lost") == "lost"
        assert await second.do("commit too-late") == "Fenced"
        assert await first.do("commit the-third") == "committed 2"

    assert await read_path(world, story.id, 1) == [1, 2]


async def test_a_killed_holder_is_succeeded_under_the_same_key(database_url: str, world: World, story: Story) -> None:
    async with player(database_url, world, story) as first, player(database_url, world, story) as second:
        assert await first.do("take key queue") == "taken key"
        assert await first.do("record the-paid-answer") == "recorded"
        await first.kill()
        await expire(database_url)
        assert await second.do("take key queue") == "taken key"
        assert await second.do("recorded") == "the-paid-answer"
        assert await second.do("commit the-paid-answer") == "committed 1"

    assert await read_path(world, story.id, 1) == [1]
    assert await broken_turns(database_url, story.id) == []
    attempts = await rows(database_url, "SELECT attempt, state FROM livingworld.generations ORDER BY attempt")
    assert attempts == [(1, "answered"), (2, "complete")]


async def everything(url: str) -> list[object]:
    """Return every row that a commit could change."""
    tables = ("stories", "branches", "scenes", "turns", "generations", "timelines")
    return [
        sorted(await rows(url, f"SELECT t::text FROM livingworld.{table} t"))  # noqa: S608 - our own names
        for table in tables
    ]
