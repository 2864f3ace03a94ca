"""Moves of heads against each other and against appends: each is decided on the head that is there under the lock."""

from __future__ import annotations

import asyncio

import pytest

from livingworld import Branch, NewScene, Scene, Story, World
from livingworld.errors import BranchInUse, BranchNotFound, StaleHead
from livingworld.testing.staged_races import connected, holding
from tests.support.staging import THE_STORY, kinds, race, same_world
from tests.support.story_checks import broken_promises, read_path
from tests.support.turn_checks import rows


async def undo_naively(url: str, story: Story) -> None:
    """Look where the head stands, then put it where it stood one scene before."""
    async with connected(url) as connection:
        head = await connection.fetchval(
            "SELECT head_scene_number FROM livingworld.branches WHERE story_id = $1", story.id
        )
        await connection.execute(
            "UPDATE livingworld.branches SET head_scene_number = $2, head_position = $2 WHERE story_id = $1",
            story.id,
            head - 1,
        )


async def append_scenes(world: World, story: Story, count: int) -> None:
    for number in range(count):
        await world.stories.append_scene(story.id, NewScene(f"{number + 1}"))


async def test_of_twelve_undos_from_one_head_one_is_done(database_url: str, world: World, story: Story) -> None:
    await append_scenes(world, story, 20)
    async with same_world(database_url, world.id, pools=3) as worlds:
        undos = [worlds[number % 3].branches.undo(story.id, expected_head=20) for number in range(12)]
        results = await race(database_url, THE_STORY, [world.id, story.id], undos, blocked=12)

    assert kinds(results) == ["Branch"] + ["StaleHead"] * 11
    assert await read_path(world, story.id, 1) == list(range(1, 20))


async def test_twelve_undos_without_a_head_are_twelve_scenes(database_url: str, world: World, story: Story) -> None:
    await append_scenes(world, story, 20)
    undos = [world.branches.undo(story.id) for _ in range(10)]
    results = await race(database_url, THE_STORY, [world.id, story.id], undos, blocked=10)

    assert kinds(results) == ["Branch"] * 10
    assert await read_path(world, story.id, 1) == list(range(1, 11))


async def test_an_undo_that_looks_before_it_has_the_lock_is_lost(database_url: str, world: World, story: Story) -> None:
    await append_scenes(world, story, 20)
    the_branch = "SELECT FROM livingworld.branches WHERE world_id = $1 AND story_id = $2 FOR UPDATE"
    undos = [undo_naively(database_url, story) for _ in range(8)]
    await race(database_url, the_branch, [world.id, story.id], undos, blocked=8)

    heads = await rows(database_url, "SELECT head_scene_number FROM livingworld.branches WHERE story_id = $1", story.id)
    assert heads == [(19,)], "eight undos should have moved it by eight"


async def test_a_rewind_and_an_append_both_know_the_head(database_url: str, world: World, story: Story) -> None:
    await append_scenes(world, story, 3)
    results = await race(
        database_url,
        THE_STORY,
        [world.id, story.id],
        [
            world.branches.rewind(story.id, 1, expected_head=3),
            world.stories.append_scene(story.id, NewScene("four"), expected_head=3),
        ],
        blocked=2,
    )

    assert sum(isinstance(result, StaleHead) for result in results) == 1
    assert await read_path(world, story.id, 1) in ([1], [1, 2, 3, 4])
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_one_of_eight_forks_gets_the_name(database_url: str, world: World, story: Story) -> None:
    await append_scenes(world, story, 1)
    async with same_world(database_url, world.id, pools=4) as worlds:
        forks = [worlds[number % 4].branches.fork(story.id, "the fork") for number in range(8)]
        results = await race(database_url, THE_STORY, [world.id, story.id], forks, blocked=8)

    assert kinds(results) == ["Branch"] + ["BranchNameTaken"] * 7
    assert [branch.name for branch in (await world.branches.list(story.id)).items] == ["main", "the fork"]


async def test_eight_forks_of_different_names_get_different_numbers(
    database_url: str, world: World, story: Story
) -> None:
    forks = [world.branches.fork(story.id, f"fork {number}") for number in range(8)]
    results = await race(database_url, THE_STORY, [world.id, story.id], forks, blocked=8)

    assert sorted(result.number for result in results if isinstance(result, Branch)) == list(range(2, 10))


@pytest.mark.parametrize("delete_first", [True, False])
async def test_a_branch_is_deleted_before_an_append_or_after_it(
    database_url: str, world: World, story: Story, *, delete_first: bool
) -> None:
    await append_scenes(world, story, 1)
    fork = await world.branches.fork(story.id, "fork")

    tasks: list[asyncio.Task[Scene | None]] = []
    async with (
        same_world(database_url, world.id, pools=1) as (elsewhere,),
        holding(database_url, THE_STORY, [world.id, story.id]) as holder,
    ):

        async def delete() -> None:
            await elsewhere.branches.delete(story.id, fork.number)

        append = world.stories.append_scene(story.id, NewScene("on the fork"), branch=fork.number)
        order = [delete(), append] if delete_first else [append, delete()]
        for contender in order:
            tasks.append(asyncio.create_task(contender))
            await holder.until_blocked(count=len(tasks))
        await holder.connection.execute("ROLLBACK")
        first, second = await asyncio.gather(*tasks, return_exceptions=True)

    if delete_first:
        assert isinstance(second, BranchNotFound)
    else:
        assert isinstance(first, Scene)
        assert second is None
    assert len((await world.branches.list(story.id)).items) == 1
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_the_current_branch_always_exists(database_url: str, world: World, story: Story) -> None:
    fork = await world.branches.fork(story.id, "fork")
    results = await race(
        database_url,
        THE_STORY,
        [world.id, story.id],
        [world.branches.switch(story.id, fork.number), world.branches.delete(story.id, fork.number)],
        blocked=2,
    )

    assert sum(isinstance(result, BranchInUse | BranchNotFound) for result in results) == 1
    head = await world.stories.head(story.id)
    assert head.branch.number == head.story.current_branch
