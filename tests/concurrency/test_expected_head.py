"""The compare-and-set of a head: one of the callers that decided on one scene succeeds."""

from __future__ import annotations

import pytest

from livingworld import NewScene, Scene, Story, World
from livingworld.errors import StaleHead
from livingworld.testing.staged_races import connected
from tests.support.staging import THE_STORY, kinds, race, same_world
from tests.support.story_checks import broken_promises, read_path

ONE_OF_TWELVE = ["Scene"] + ["StaleHead"] * 11


async def append_naively(url: str, world: World, story: Story, expected_head: int) -> bool:
    """Look at the head, find it as expected, and append: the check is over before the lock is there."""
    async with connected(url) as connection:
        head = await connection.fetchval(
            "SELECT coalesce(head_scene_number, 0) FROM livingworld.branches WHERE world_id = $1 AND story_id = $2",
            world.id,
            story.id,
        )
    if head != expected_head:
        return False
    await world.stories.append_scene(story.id, NewScene("naive"))
    return True


@pytest.mark.parametrize("pools", [1, 3, 12])
async def test_of_twelve_appends_to_one_head_one_is_stored_and_eleven_are_told(
    database_url: str, world: World, story: Story, pools: int
) -> None:
    await world.stories.append_scene(story.id, NewScene("the common head"))
    async with same_world(database_url, world.id, pools=pools) as worlds:
        appends = [
            worlds[number % pools].stories.append_scene(story.id, NewScene(f"scene of {number}"), expected_head=1)
            for number in range(12)
        ]
        results = await race(database_url, THE_STORY, [world.id, story.id], appends, blocked=pools)

    assert kinds(results) == ONE_OF_TWELVE
    assert {(e.expected, e.actual) for e in results if isinstance(e, StaleHead)} == {(1, 2)}
    (winner,) = (result for result in results if isinstance(result, Scene))
    assert (await world.stories.head(story.id)).scene == winner
    assert await read_path(world, story.id, 1) == [1, 2]
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_twelve_first_scenes_are_one(database_url: str, world: World, story: Story) -> None:
    async with same_world(database_url, world.id, pools=4) as worlds:
        appends = [
            worlds[number % 4].stories.append_scene(story.id, NewScene(f"{number}"), expected_head=0)
            for number in range(12)
        ]
        results = await race(database_url, THE_STORY, [world.id, story.id], appends, blocked=4)

    assert kinds(results) == ONE_OF_TWELVE
    assert {(e.expected, e.actual) for e in results if isinstance(e, StaleHead)} == {(0, 1)}


async def test_in_transactions_too_one_goes_on_and_the_others_may_still_write_elsewhere(
    database_url: str, world: World, story: Story
) -> None:
    async def play(number: int) -> bool:
        async with world.transaction() as tx:
            stored = True
            try:
                await tx.stories.append_scene(story.id, NewScene(f"{number}"), expected_head=0)
            except StaleHead:
                stored = False
            await tx.characters.get_or_create(f"player {number}")
        return stored

    results = await race(
        database_url, THE_STORY, [world.id, story.id], [play(number) for number in range(6)], blocked=6
    )

    assert sorted(results, key=str) == [False] * 5 + [True]
    assert await read_path(world, story.id, 1) == [1]
    assert len((await world.characters.list()).items) == 6


async def test_a_head_that_is_checked_before_the_lock_lets_all_twelve_pass(
    database_url: str, world: World, story: Story
) -> None:
    appends = [append_naively(database_url, world, story, 0) for _ in range(12)]
    results = await race(database_url, THE_STORY, [world.id, story.id], appends, blocked=1)

    assert results == [True] * 12, "one should pass"
