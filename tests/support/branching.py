"""Branches and rewinds by SQL, for as long as the library has no call for them, and the check of every path."""

from __future__ import annotations

from typing import Final

from livingworld import Story, World
from livingworld.testing.staged_races import connected
from tests.support.story_checks import broken_promises, read_path, walked_path

_FORK: Final = """
    INSERT INTO livingworld.branches
        (world_id, story_id, branch_number, name, head_scene_number, head_timeline, head_position)
    SELECT world_id, story_id, $3::integer, 'fork ' || $3::integer, head_scene_number, head_timeline, head_position
    FROM livingworld.branches WHERE world_id = $1 AND story_id = $2 AND branch_number = 1
"""
_COUNT: Final = "UPDATE livingworld.stories SET last_branch_number = $3 WHERE world_id = $1 AND story_id = $2"
_REWIND: Final = """
    UPDATE livingworld.branches b SET head_scene_number = c.scene_number,
        head_timeline = coalesce(c.timeline_number, 1), head_position = coalesce(c.position, 0)
    FROM (SELECT) AS nothing LEFT JOIN livingworld.scenes c
        ON c.world_id = $1 AND c.story_id = $2 AND c.scene_number = $3
    WHERE b.world_id = $1 AND b.story_id = $2 AND b.branch_number = $4
"""


async def fork(url: str, world: World, story: Story, branch: int) -> None:
    """Add a branch that stands where the first one stands."""
    async with connected(url) as connection:
        await connection.execute(_FORK, world.id, story.id, branch)
        await connection.execute(_COUNT, world.id, story.id, branch)


async def rewind(url: str, world: World, story: Story, to: int, *, branch: int = 1) -> None:
    """Move a branch's head to a scene, or with 0 to the place before the first one."""
    async with connected(url) as connection:
        moved = await connection.execute(_REWIND, world.id, story.id, to, branch)
    assert moved == "UPDATE 1"


async def timelines(url: str, story: Story) -> list[tuple[int, int | None, int]]:
    """Return number, parent and fork position of each timeline of a story."""
    async with connected(url) as connection:
        rows = await connection.fetch(
            "SELECT timeline_number, parent_timeline, fork_position FROM livingworld.timelines WHERE story_id = $1"
            " ORDER BY timeline_number",
            story.id,
        )
    return [(row["timeline_number"], row["parent_timeline"], row["fork_position"]) for row in rows]


async def check_paths(url: str, world: World, story: Story, *branches: int) -> None:
    """Assert that each branch reads, in both directions and from its end, as the walk from parent to parent goes."""
    assert await broken_promises(url, world.id, story.id) == []
    for branch in branches:
        walked = await walked_path(url, world.id, story.id, branch)
        assert await read_path(world, story.id, branch) == walked
        assert await read_path(world, story.id, branch, newest_first=True) == walked[::-1]
        assert [scene.number for scene in await world.stories.recent(story.id, 1000, branch=branch)] == walked
        positions = [scene.position for scene in await world.stories.recent(story.id, 1000, branch=branch)]
        assert positions == list(range(1, len(walked) + 1))
