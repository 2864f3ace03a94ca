"""A head that does not stand at the end of its timeline opens a new one by itself when it goes on."""

from __future__ import annotations

import random

import pytest

from livingworld import NewScene, Story, World
from livingworld.testing.staged_races import connected
from tests.support.branching import check_paths, fork, rewind, timelines
from tests.support.story_checks import read_path


async def grow(world: World, story: Story, scenes: int, *, branch: int = 1) -> None:
    for _ in range(scenes):
        await world.stories.append_scene(story.id, NewScene("a scene"), branch=branch)


async def lineage(url: str, story: Story, timeline: int) -> list[tuple[int, ...]]:
    async with connected(url) as connection:
        rows = await connection.fetch(
            "SELECT owner_timeline, from_position, to_position FROM livingworld.timeline_lineage"
            " WHERE story_id = $1 AND timeline_number = $2 ORDER BY from_position",
            story.id,
            timeline,
        )
    return [tuple(row) for row in rows]


async def test_going_on_after_a_rewind_leaves_the_old_scenes_where_they_were(
    database_url: str, world: World, story: Story
) -> None:
    await grow(world, story, 5)
    await rewind(database_url, world, story, 2)
    await grow(world, story, 2)

    assert await read_path(world, story.id, 1) == [1, 2, 6, 7]
    assert await timelines(database_url, story) == [(1, None, 0), (2, 1, 2)]
    assert await lineage(database_url, story, 2) == [(1, 1, 2)]
    assert (await world.stories.scene(story.id, 5)).parent_number == 4
    await check_paths(database_url, world, story, 1)


async def test_going_on_at_the_end_of_an_older_timeline_needs_no_new_one(
    database_url: str, world: World, story: Story
) -> None:
    await grow(world, story, 3)
    await rewind(database_url, world, story, 1)
    await grow(world, story, 1)
    await rewind(database_url, world, story, 3)
    await grow(world, story, 1)

    assert await read_path(world, story.id, 1) == [1, 2, 3, 5]
    assert len(await timelines(database_url, story)) == 2
    await check_paths(database_url, world, story, 1)


async def test_a_head_before_the_first_scene_begins_the_story_anew(
    database_url: str, world: World, story: Story
) -> None:
    await grow(world, story, 3)
    await rewind(database_url, world, story, 0)
    assert (await world.stories.head(story.id)).scene is None
    assert await read_path(world, story.id, 1) == []

    scene = await world.stories.append_scene(story.id, NewScene("another beginning"), expected_head=0)

    assert (scene.number, scene.parent_number, scene.position) == (4, None, 1)
    assert await timelines(database_url, story) == [(1, None, 0), (2, 1, 0)]
    assert await lineage(database_url, story, 2) == []
    await grow(world, story, 1)
    await check_paths(database_url, world, story, 1)


async def test_a_head_may_name_an_inherited_scene_by_the_younger_timeline(
    database_url: str, world: World, story: Story
) -> None:
    await grow(world, story, 4)
    await rewind(database_url, world, story, 3)
    await grow(world, story, 2)
    async with connected(database_url) as connection:  # scene 2 is seen from timeline 2 as well as from timeline 1
        await connection.execute("UPDATE livingworld.branches SET head_scene_number = 2, head_position = 2")
    assert await read_path(world, story.id, 1) == [1, 2]

    await grow(world, story, 2)

    assert await lineage(database_url, story, 3) == [(1, 1, 2)]
    await check_paths(database_url, world, story, 1)


async def test_thirty_forks_of_forks_read_like_the_walk_from_parent_to_parent(
    database_url: str, world: World, story: Story
) -> None:
    await grow(world, story, 3)
    for branch in range(2, 32):
        await fork(database_url, world, story, branch)
        await grow(world, story, 1)  # the first branch goes on, so the other one has to leave its timeline
        await grow(world, story, 2, branch=branch)
        await rewind(database_url, world, story, (await read_path(world, story.id, branch))[-2])

    assert len(await timelines(database_url, story)) > 30
    await check_paths(database_url, world, story, *range(1, 32))


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("seed", range(4))
async def test_any_walk_through_the_tree_reads_right(database_url: str, world: World, story: Story, seed: int) -> None:
    choose = random.Random(seed)
    await fork(database_url, world, story, 2)
    for _ in range(25):
        branch = choose.choice((1, 2))
        written = (await world.stories.get(story.id)).scene_count
        await rewind(database_url, world, story, choose.randint(0, written), branch=branch)
        await grow(world, story, choose.randint(1, 3), branch=branch)

    await check_paths(database_url, world, story, 1, 2)
