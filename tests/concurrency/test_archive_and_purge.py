"""A story is archived or purged, or its world is, while others write to it: nothing half is left."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

import pytest

from livingworld import LivingWorld, NewScene, Story, World
from livingworld.errors import Archived, StoryNotFound, WorldNotFound
from livingworld.testing.staged_races import connected, until_blocked
from tests.support.staging import THE_STORY, backend_of, deadlocks, elsewhere, kinds, race, same_world
from tests.support.story_checks import broken_promises

TABLES = (
    "worlds",
    "stories",
    "branches",
    "timelines",
    "timeline_lineage",
    "scenes",
    "scene_cast",
    "characters",
    "character_names",
    "revisions",
    "request_keys",
)
FULL = NewScene("full", ["on"], cast=["Mara"], raw_response="{}")
THE_WORLD = "SELECT FROM livingworld.worlds WHERE world_id = $1 FOR UPDATE"


async def rows_of(url: str, world_id: UUID) -> dict[str, int]:
    """Return how many rows each table has of a world, tables with none left out."""
    async with connected(url) as connection:
        counts = {
            table: await connection.fetchval(f"SELECT count(*) FROM livingworld.{table} WHERE world_id = $1", world_id)  # noqa: S608
            for table in TABLES
        }
    return {table: count for table, count in counts.items() if count}


async def write_everything(world: World, story: Story) -> None:
    """Leave a row in every table, so that a purge has something to forget."""
    await world.stories.append_scene(story.id, FULL, request_key="k")
    await world.stories.append_scene(story.id, NewScene("next", chosen_choice=1))
    await world.stories.edit_scene(story.id, 2, expected_version=1, content="edited")
    await world.stories.update(story.id, expected_version=1, title="renamed")


async def test_an_append_that_waited_for_the_archiving_is_refused(
    database_url: str, world: World, story: Story
) -> None:
    async with same_world(database_url, world.id, pools=4) as worlds:
        contenders = [each.stories.append_scene(story.id, NewScene("x")) for each in worlds]
        archiving = "UPDATE livingworld.stories SET archived_at = now() WHERE world_id = $1 AND story_id = $2"
        results = await race(database_url, archiving, [world.id, story.id], contenders, blocked=4, commit=True)

    assert kinds(results) == ["Archived"] * 4
    assert (await world.stories.get(story.id)).scene_count == 0


async def test_appends_before_the_archiving_are_stored_and_those_after_it_refused(
    database_url: str, world: World, story: Story
) -> None:
    async with same_world(database_url, world.id, pools=6) as worlds:
        contenders = [each.stories.append_scene(story.id, FULL) for each in worlds]
        contenders.insert(3, world.stories.archive(story.id))  # type: ignore[arg-type]
        results = await race(database_url, THE_STORY, [world.id, story.id], contenders, blocked=7)

    stored = kinds(results).count("Scene")
    assert kinds(results) == ["Archived"] * (6 - stored) + ["Scene"] * stored + ["Story"]
    archived = await world.stories.get(story.id)
    assert archived.archived_at is not None
    assert archived.scene_count == stored
    assert await broken_promises(database_url, world.id, story.id) == []
    with pytest.raises(Archived):
        await world.stories.update(story.id, expected_version=2, title="t")


@pytest.mark.parametrize("purge_at", [0, 3, 6])
async def test_a_purged_story_leaves_nothing_and_its_writers_are_told(
    database_url: str, world: World, story: Story, purge_at: int
) -> None:
    await write_everything(world, story)
    async with same_world(database_url, world.id, pools=6) as worlds:
        contenders = [each.stories.append_scene(story.id, FULL, request_key=f"{n}") for n, each in enumerate(worlds)]
        contenders.insert(purge_at, world.stories.purge(story.id))  # type: ignore[arg-type]
        results = await race(database_url, THE_STORY, [world.id, story.id], contenders, blocked=7)

    assert set(kinds(results)) <= {"NoneType", "Scene", "StoryNotFound"}
    assert await rows_of(database_url, world.id) == {"worlds": 1, "characters": 1, "character_names": 1}
    with pytest.raises(StoryNotFound):
        await world.stories.head(story.id)
    assert await deadlocks(database_url) == 0


@pytest.mark.parametrize("request_key", [None, "k"], ids=["without a key", "with a key"])
async def test_a_purged_world_leaves_nothing_and_its_writers_are_told(
    database_url: str, livingworld: LivingWorld, world: World, story: Story, request_key: str | None
) -> None:
    await write_everything(world, story)
    async with same_world(database_url, world.id, pools=3) as worlds:
        contenders = [
            livingworld.worlds.purge(world.id),
            worlds[0].stories.append_scene(story.id, NewScene("x"), request_key=request_key and f"{request_key} 0"),
            worlds[0].stories.create("Too late"),
            worlds[1].stories.append_scene(story.id, NewScene("new name", cast=["Tom"])),
            worlds[1].characters.get_or_create("Ada"),
            worlds[2].stories.update(story.id, expected_version=2, title="t"),
        ]
        results = await race(database_url, THE_WORLD, [world.id], contenders, blocked=3)

    expected = {"NoneType", "Scene", "Story", "tuple", "StoryNotFound", "WorldNotFound", "CharacterNotFound"}
    assert set(kinds(results)) <= expected
    assert await rows_of(database_url, world.id) == {}
    with pytest.raises(WorldNotFound):
        await livingworld.worlds.get(world.id)
    assert await deadlocks(database_url) == 0


async def test_a_world_is_purged_behind_a_transaction_that_wrote_a_scene_and_makes_a_character(
    database_url: str, livingworld: LivingWorld, world: World, story: Story
) -> None:
    """The writer has the story and comes to need the world's row; the purge comes from the other side."""
    async with connected(database_url) as observer, elsewhere(world.transaction()) as tx:
        await tx.stories.append_scene(story.id, NewScene("first"))
        writer = await backend_of(tx)
        purge = asyncio.create_task(livingworld.worlds.purge(world.id))
        await until_blocked(observer, by=writer)
        await tx.characters.get_or_create("Mara")
    await purge

    assert await rows_of(database_url, world.id) == {}
    assert await deadlocks(database_url) == 0


async def test_a_world_is_purged_behind_a_transaction_that_made_a_story_and_writes_to_another(
    database_url: str, livingworld: LivingWorld, world: World, story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with elsewhere(world.transaction()) as tx:
        await tx.stories.create("New")
        purge = asyncio.create_task(livingworld.worlds.purge(world.id))
        while "lock awaited" not in caplog.text:
            assert not purge.done()
            await asyncio.sleep(0)
        await tx.stories.append_scene(story.id, NewScene("written although a purge is on its way"))
    await purge

    assert await rows_of(database_url, world.id) == {}
    assert await deadlocks(database_url) == 0
