"""No foreign key leads from a scene or a head to what was read for it: the story's lock keeps them together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest

from livingworld import LivingWorld, NewScene, Scene, Story, World
from livingworld.errors import SceneNotFound, StoryNotFound, WorldNotFound
from livingworld.testing.staged_races import connected, holding
from tests.support.patience import patiently
from tests.support.staging import THE_STORY, same_world
from tests.support.story_checks import broken_promises

#: What foreign keys would refuse, in all worlds.
_ORPHANS: Final = """
    SELECT 'scene' AS what, c.story_id FROM livingworld.scenes c
    LEFT JOIN livingworld.timelines t USING (world_id, story_id, timeline_number)
    LEFT JOIN livingworld.stories s USING (world_id, story_id)
    WHERE t.timeline_number IS NULL OR s.story_id IS NULL
    UNION ALL
    SELECT 'child', c.story_id FROM livingworld.scenes c
    LEFT JOIN livingworld.scenes p ON (p.world_id, p.story_id, p.scene_number)
        = (c.world_id, c.story_id, c.parent_scene_number)
    WHERE c.parent_scene_number IS NOT NULL AND p.scene_number IS NULL
    UNION ALL
    SELECT 'head', b.story_id FROM livingworld.branches b
    LEFT JOIN livingworld.scenes c ON (c.world_id, c.story_id, c.scene_number)
        = (b.world_id, b.story_id, b.head_scene_number)
    WHERE b.head_scene_number IS NOT NULL AND c.scene_number IS NULL
"""


async def _orphans(url: str) -> list[tuple[object, ...]]:
    async with connected(url) as connection:
        return [tuple(row) for row in await connection.fetch(_ORPHANS)]


@pytest.mark.parametrize("purged", ["story", "world"])
@pytest.mark.parametrize("first", ["append", "purge"])
async def test_an_append_beside_a_purge_leaves_no_part_of_a_story(
    database_url: str, livingworld: LivingWorld, world: World, story: Story, purged: str, first: str
) -> None:
    for text in ("one", "two"):
        await world.stories.append_scene(story.id, NewScene(text, ["on"]))
    await world.branches.fork(story.id, "aside", at=1)
    async with same_world(database_url, world.id, pools=1) as (other,):
        calls: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
            "append": lambda: other.stories.append_scene(story.id, NewScene("aside", chosen_choice=1)),
            "purge": lambda: world.stories.purge(story.id) if purged == "story" else livingworld.worlds.purge(world.id),
        }
        tasks: list[asyncio.Task[object]] = []
        async with holding(database_url, THE_STORY, [world.id, story.id]) as holder:
            for count, name in enumerate((first, *(calls.keys() - {first})), start=1):
                tasks.append(asyncio.create_task(calls[name]()))
                await holder.until_blocked(count=count)
        async with patiently():
            results = await asyncio.gather(*tasks, return_exceptions=True)

    outcome = results[0 if first == "append" else 1]
    assert isinstance(outcome, Scene if first == "append" else StoryNotFound | WorldNotFound)
    assert await _orphans(database_url) == []
    async with connected(database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM livingworld.scenes") == 0


async def test_an_append_beside_a_rewind_follows_the_head_that_it_found(
    database_url: str, world: World, story: Story
) -> None:
    for text in ("one", "two"):
        await world.stories.append_scene(story.id, NewScene(text))
    async with same_world(database_url, world.id, pools=1) as (other,):
        tasks = []
        async with holding(database_url, THE_STORY, [world.id, story.id]) as holder:
            for count, call in enumerate(
                (other.branches.undo(story.id), world.stories.append_scene(story.id, NewScene("three"))), start=1
            ):
                tasks.append(asyncio.create_task(call))
                await holder.until_blocked(count=count)
        async with patiently():
            await asyncio.gather(*tasks)

    scene = await world.stories.scene(story.id, 3)
    assert (scene.parent_number, scene.position) == (1, 2)
    assert await _orphans(database_url) == []
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_a_head_moves_only_to_a_scene_that_is_there(database_url: str, world: World, story: Story) -> None:
    await world.stories.append_scene(story.id, NewScene("one"))
    with pytest.raises(SceneNotFound):
        await world.branches.rewind(story.id, 2)
    with pytest.raises(SceneNotFound):
        await world.branches.fork(story.id, "nowhere", at=2)

    assert await _orphans(database_url) == []
