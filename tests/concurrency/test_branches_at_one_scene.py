"""Two branches stand at one scene and both go on: only one can have the next position of the timeline."""

from __future__ import annotations

import pytest

from livingworld import NewScene, Scene, Story, World
from tests.support.branching import check_paths, fork, timelines
from tests.support.staging import THE_STORY, race, same_world
from tests.support.story_checks import read_path

BRANCHES = (1, 2, 3)


@pytest.fixture
async def forked(database_url: str, world: World, story: Story) -> Story:
    """Give a story of four scenes with three branches at the last one."""
    for number in range(1, 5):
        await world.stories.append_scene(story.id, NewScene(f"scene {number}"))
    for branch in BRANCHES[1:]:
        await fork(database_url, world, story, branch)
    return story


async def test_the_second_to_append_opens_a_timeline(database_url: str, world: World, forked: Story) -> None:
    first = await world.stories.append_scene(forked.id, NewScene("on main"), branch=1, expected_head=4)
    second = await world.stories.append_scene(forked.id, NewScene("elsewhere"), branch=2, expected_head=4)

    assert (first.number, first.parent_number, first.position) == (5, 4, 5)
    assert (second.number, second.parent_number, second.position) == (6, 4, 5)
    assert await timelines(database_url, forked) == [(1, None, 0), (2, 1, 4)]
    assert await read_path(world, forked.id, 1) == [1, 2, 3, 4, 5]
    assert await read_path(world, forked.id, 2) == [1, 2, 3, 4, 6]
    await check_paths(database_url, world, forked, *BRANCHES)


async def test_branches_that_append_at_the_same_moment_from_several_processes_get_timelines_of_their_own(
    database_url: str, world: World, forked: Story
) -> None:
    async with same_world(database_url, world.id, pools=3) as worlds:
        appends = [
            each.stories.append_scene(forked.id, NewScene(f"branch {branch}"), branch=branch, expected_head=4)
            for branch, each in zip(BRANCHES, worlds, strict=True)
        ]
        results = await race(database_url, THE_STORY, [world.id, forked.id], appends, blocked=3)

    assert {scene.number for scene in results if isinstance(scene, Scene)} == {5, 6, 7}
    assert await timelines(database_url, forked) == [(1, None, 0), (2, 1, 4), (3, 1, 4)]
    await check_paths(database_url, world, forked, *BRANCHES)


async def test_branches_that_append_at_the_same_moment_in_one_process_all_get_their_answer(
    database_url: str, world: World, forked: Story
) -> None:
    appends = [
        world.stories.append_scene(forked.id, NewScene(f"{turn} of branch {branch}"), branch=branch)
        for turn in (1, 2)
        for branch in BRANCHES
    ]
    results = await race(database_url, THE_STORY, [world.id, forked.id], appends, blocked=1)

    assert {scene.number for scene in results if isinstance(scene, Scene)} == set(range(5, 11))
    for branch in BRANCHES:
        scenes = await world.stories.recent(forked.id, 2, branch=branch)
        assert [scene.content for scene in scenes] == [f"1 of branch {branch}", f"2 of branch {branch}"]
    await check_paths(database_url, world, forked, *BRANCHES)
