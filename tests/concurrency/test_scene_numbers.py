"""Race 2: twelve appends at once, of which every fourth is rolled back after its scene was numbered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from livingworld import NewScene, Story, World
from livingworld.testing.staged_races import Connection, connected
from tests.support.staging import THE_STORY, GaveUp, kinds, race, same_world
from tests.support.story_checks import broken_promises, read_path

APPENDS = range(12)
NINE_OF_TWELVE = ["GaveUp"] * 3 + ["NoneType"] * 9


@pytest.fixture
async def wide_world(database_url: str, world: World) -> AsyncIterator[World]:
    """Give a pool in which twelve transactions wait at once."""
    async with same_world(database_url, world.id, pools=1, pool_size=20) as (opened,):
        yield opened


async def append(world: World, story_id: UUID, number: int) -> None:
    async with world.transaction() as tx:
        await tx.stories.append_scene(story_id, NewScene(f"scene of {number}", ["on"]))
        if number % 4 == 0:
            raise GaveUp


async def append_naively(url: str, world_id: UUID, story_id: UUID, number: int) -> None:
    """Read the highest number, then take the lock: the order that looks right and is not."""
    async with connected(url) as connection, connection.transaction():
        key = (world_id, story_id)
        taken = await connection.fetchval(
            "SELECT count(*) FROM livingworld.scenes WHERE world_id = $1 AND story_id = $2", *key
        )
        await connection.execute(THE_STORY, *key)
        await connection.execute(
            "INSERT INTO livingworld.scenes (world_id, story_id, scene_number, timeline_number, position, content)"
            " VALUES ($1, $2, $3, 1, $3, '')",
            *key,
            taken + 1,
        )
        if number % 4 == 0:
            raise GaveUp


async def take_number(connection: Connection, number: int) -> None:
    async with connection.transaction():
        await connection.execute("INSERT INTO numbered VALUES (DEFAULT)")
        if number % 4 == 0:
            raise GaveUp


async def test_what_was_rolled_back_leaves_no_gap_and_no_duplicate(
    database_url: str, wide_world: World, story: Story
) -> None:
    appends = [append(wide_world, story.id, number) for number in APPENDS]
    results = await race(database_url, THE_STORY, [wide_world.id, story.id], appends, blocked=12)

    assert kinds(results) == NINE_OF_TWELVE
    assert await read_path(wide_world, story.id, 1) == list(range(1, 10))
    assert await broken_promises(database_url, wide_world.id, story.id) == []


async def test_each_scene_follows_the_one_before_it(database_url: str, wide_world: World, story: Story) -> None:
    appends = [append(wide_world, story.id, number) for number in APPENDS]
    await race(database_url, THE_STORY, [wide_world.id, story.id], appends, blocked=12)

    scenes = await wide_world.stories.recent(story.id, 12)
    assert [scene.parent_number for scene in scenes] == [None, *range(1, 9)]
    assert [scene.position for scene in scenes] == list(range(1, 10))
    assert len({scene.content for scene in scenes}) == 9
    assert all(scene.choices[0].content == "on" for scene in scenes)


async def test_a_number_read_before_the_lock_is_taken_twice_and_the_constraint_refuses_it(
    database_url: str, world: World, story: Story
) -> None:
    appends = [append_naively(database_url, world.id, story.id, number) for number in APPENDS]
    results = await race(database_url, THE_STORY, [world.id, story.id], appends, blocked=12)

    refused = [result for result in results if isinstance(result, asyncpg.UniqueViolationError)]
    stored = [result for result in results if result is None]
    assert len(stored) == 1, "nine should be stored"
    assert len(refused) >= 8
    assert all('constraint "pk_scenes' in str(error) for error in refused)  # Citus adds the number of a shard


async def test_a_sequence_leaves_gaps_where_transactions_rolled_back(database_url: str) -> None:
    async with connected(database_url) as connection:
        await connection.execute("CREATE TABLE numbered (number serial PRIMARY KEY)")
        for number in APPENDS:
            try:
                await take_number(connection, number)
            except GaveUp:
                continue
        stored = [row["number"] for row in await connection.fetch("SELECT number FROM numbered ORDER BY number")]

    assert len(stored) == 9
    assert stored != list(range(1, 10))
