"""The trap of READ COMMITTED: a statement that waited for one row judges a second row as it was before the wait."""

from __future__ import annotations

from uuid import UUID

import asyncpg
import pytest

from livingworld import NewScene, Story, World
from livingworld.identifiers import new_id
from livingworld.testing.staged_races import connected
from tests.support.staging import THE_STORY, race, same_world
from tests.support.story_checks import broken_promises, read_path

#: Number, head and scene in one statement: right when nobody else writes.
ONE_STATEMENT = """
    WITH numbered AS (
        UPDATE livingworld.stories SET last_scene_number = last_scene_number + 1
        WHERE world_id = $1 AND story_id = $2 RETURNING last_scene_number AS number
    ), grown AS (
        UPDATE livingworld.branches b SET head_scene_number = n.number, head_position = n.number FROM numbered n
        WHERE b.world_id = $1 AND b.story_id = $2 AND b.branch_number = 1 AND b.head_position = n.number - 1
        RETURNING n.number
    )
    INSERT INTO livingworld.scenes
        (world_id, story_id, scene_number, parent_scene_number, timeline_number, position, content)
    SELECT $1, $2, number, nullif(number - 1, 0), 1, number, 'naive' FROM grown
"""


async def append_in_one_statement(url: str, world_id: UUID, story_id: UUID) -> None:
    async with connected(url) as connection:
        await connection.execute(ONE_STATEMENT, world_id, story_id)


async def test_one_statement_loses_scenes_without_an_error(database_url: str, world: World, story: Story) -> None:
    await append_in_one_statement(database_url, world.id, story.id)

    appends = [append_in_one_statement(database_url, world.id, story.id) for _ in range(4)]
    results = await race(database_url, THE_STORY, [world.id, story.id], appends, blocked=4)

    async with connected(database_url) as connection:
        numbered = await connection.fetchval("SELECT last_scene_number FROM livingworld.stories")
        stored = await connection.fetchval("SELECT count(*) FROM livingworld.scenes")
    assert results == [None] * 4, "nobody was told"
    assert (numbered, stored) == (5, 2), "three of the five scenes are not there"


async def test_the_function_that_locks_first_stores_every_scene(database_url: str, world: World, story: Story) -> None:
    async with same_world(database_url, world.id, pools=4) as worlds:
        appends = [each.stories.append_scene(story.id, NewScene("right", ["on"])) for each in worlds]
        results = await race(database_url, THE_STORY, [world.id, story.id], appends, blocked=4)

    assert sorted(getattr(scene, "number", 0) for scene in results) == [1, 2, 3, 4]
    assert await read_path(world, story.id, 1) == [1, 2, 3, 4]
    assert await broken_promises(database_url, world.id, story.id) == []


@pytest.mark.one_server("Citus runs the function at READ COMMITTED on the node of the world, whatever the session says")
@pytest.mark.parametrize("cast", ["ARRAY['[]']", "NULL"], ids=["in a group", "plain"])
@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_the_function_refuses_an_isolation_level_that_would_bring_the_trap_back(
    database_url: str, world: World, story: Story, level: str, cast: str
) -> None:
    call = "SELECT livingworld.append_scenes_v1($1, true, true, ARRAY[$2::uuid]" + ", '{NULL}'" * 2 + ", '{x}'"
    call += ", '{NULL}'" * 3 + f", ARRAY['{{}}'], '{{NULL}}', ARRAY['{{}}'], {cast}" + ", '{NULL}'" * 2 + ")"
    async with connected(database_url) as connection:
        await connection.execute(f"SET default_transaction_isolation = '{level}'")
        with pytest.raises(asyncpg.InvalidTransactionStateError, match="needs READ COMMITTED"):
            await connection.execute(call, world.id, story.id)
        async with connection.transaction(isolation="read_committed"):
            await connection.execute(call, world.id, story.id)

    assert (await world.stories.get(story.id)).scene_count == 1


@pytest.mark.one_server("Citus runs the function at READ COMMITTED on the node of the world, whatever the session says")
@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_a_lone_turn_is_taken_at_read_committed_only(
    database_url: str, world: World, story: Story, level: str
) -> None:
    call = "SELECT status FROM livingworld.take_turn_v1($1, true, '1 min', '1 min', $2, NULL, NULL, NULL, 'key', $3, $4"
    call += ", NULL, NULL, 'reject', 5, NULL, false)"
    given = (world.id, story.id, b"x" * 32, new_id())
    async with connected(database_url) as connection:
        await connection.execute(f"SET default_transaction_isolation = '{level}'")
        with pytest.raises(asyncpg.InvalidTransactionStateError, match="needs READ COMMITTED"):
            await connection.fetchval(call, *given)
        async with connection.transaction(isolation="read_committed"):
            assert await connection.fetchval(call, *given) == "granted"
