"""Hundreds of forks, each of the one before: what the lineage costs, in rows and in buffers, not in seconds."""

from __future__ import annotations

from typing import Final

import pytest

from livingworld import NewScene, Story, World
from tests.support.rotation import WHOLE
from tests.support.story_checks import broken_promises
from tests.support.turn_checks import rows

FORKS: Final = 600 if WHOLE else 120
LINEAGE: Final = """
    SELECT count(*), max(ranges) FROM (
        SELECT count(*) AS ranges FROM livingworld.timeline_lineage WHERE story_id = $1 GROUP BY timeline_number
    ) timeline
"""


async def fork_and_go_on(world: World, story: Story, number: int) -> None:
    """Fork before the newest scene and append there: a timeline that leaves the one before it."""
    fork = await world.branches.fork(story.id, f"fork {number}")
    await world.branches.switch(story.id, fork.number)
    await world.stories.append_scene(story.id, NewScene("to be left"))
    await world.branches.undo(story.id)
    await world.stories.append_scene(story.id, NewScene(f"scene {number}"))


@pytest.mark.slow
@pytest.mark.rotates
async def test_nested_forks_cost_a_lineage_row_for_each_ancestor(database_url: str, world: World, story: Story) -> None:
    await world.stories.append_scene(story.id, NewScene("the first"))
    for number in range(FORKS):
        await fork_and_go_on(world, story, number)

    head = await world.stories.head(story.id)
    assert head.branch.length == FORKS + 1
    recent = await world.stories.recent(story.id, 20)
    assert [scene.content for scene in recent] == [f"scene {number}" for number in range(FORKS - 20, FORKS)]
    ((timelines, most),) = await rows(database_url, LINEAGE, story.id)
    assert timelines == FORKS
    assert most == FORKS
    assert (await world.branches.rewind(story.id, 1)).length == 1
    assert (await world.branches.redo(story.id, FORKS // 2)).length == FORKS // 2 + 1
    async with world.turns.take(story.id, request_key="deep", branch=head.branch.number) as turn:
        assert [scene.number for scene in turn.context.recent][-1] == turn.context.head
    assert await broken_promises(database_url, world.id, story.id) == []
