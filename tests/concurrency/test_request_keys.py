"""A request key: what is asked for again, by whomever and however often, takes effect once."""

from __future__ import annotations

import asyncio

import pytest

from livingworld import NewScene, Scene, Story, TransactionScope, World
from livingworld.errors import ChoiceNotFound, RequestKeyReused
from livingworld.postgres.idempotency import request_hash
from livingworld.testing.staged_races import connected, holding
from tests.support.staging import THE_STORY, GaveUp, kinds, race, same_world
from tests.support.story_checks import broken_promises, read_path

SCENE = NewScene("once", ["on", "back"], metadata={"mood": "wary"})


async def keys_stored(url: str) -> int:
    async with connected(url) as connection:
        found: int = await connection.fetchval("SELECT count(*) FROM livingworld.request_keys")
    return found


@pytest.mark.parametrize("pools", [1, 2])
async def test_fifty_equal_requests_at_once_are_one_scene_and_fifty_equal_answers(
    database_url: str, world: World, story: Story, pools: int
) -> None:
    async with same_world(database_url, world.id, pools=pools) as worlds:
        appends = [
            worlds[number % pools].stories.append_scene(story.id, SCENE, expected_head=0, request_key="turn 1")
            for number in range(50)
        ]
        results = await race(database_url, THE_STORY, [world.id, story.id], appends, blocked=pools)

    assert kinds(results) == ["Scene"] * 50
    assert all(result == results[0] for result in results)
    assert await read_path(world, story.id, 1) == [1]
    assert await keys_stored(database_url) == 1
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_equal_requests_with_a_new_character_are_one_scene_and_one_character(
    database_url: str, world: World, story: Story
) -> None:
    scene = NewScene("enter Mara", cast=["Mara"])
    async with same_world(database_url, world.id, pools=2) as worlds:
        appends = [
            worlds[number % 2].stories.append_scene(story.id, scene, request_key="turn 1") for number in range(20)
        ]
        results = await race(database_url, THE_STORY, [world.id, story.id], appends, blocked=2)

    assert kinds(results) == ["Scene"] * 20
    assert all(result == results[0] for result in results)
    assert len((await world.characters.list()).items) == 1


@pytest.mark.parametrize(
    "other",
    [NewScene("twice", ["on", "back"]), NewScene("once", ["on"]), NewScene("once", ["on", "back"], cast=["Mara"])],
    ids=["content", "choices", "cast"],
)
async def test_a_key_with_other_arguments_is_refused_also_within_one_group(
    database_url: str, world: World, story: Story, other: NewScene
) -> None:
    first, second = (world.stories.append_scene(story.id, scene, request_key="turn 1") for scene in (SCENE, other))
    results = await asyncio.gather(first, second, return_exceptions=True)

    assert kinds(results) == ["RequestKeyReused", "Scene"]
    assert await read_path(world, story.id, 1) == [1]
    (winner,) = (scene for scene in results if isinstance(scene, Scene))
    assert len((await world.characters.list()).items) == len(winner.cast), "a refused request leaves no character"


async def test_different_keys_in_one_group_are_different_scenes(database_url: str, world: World, story: Story) -> None:
    appends = [world.stories.append_scene(story.id, SCENE, request_key=f"turn {number % 3}") for number in range(9)]
    results = await race(database_url, THE_STORY, [world.id, story.id], appends, blocked=1)

    numbers = [scene.number for scene in results if isinstance(scene, Scene)]
    assert numbers == [1, 2, 3] * 3


async def test_a_key_belongs_to_its_story(world: World, story: Story) -> None:
    other = await world.stories.create("Another")

    one = await world.stories.append_scene(story.id, SCENE, request_key="turn 1")
    two = await world.stories.append_scene(other.id, NewScene("something else"), request_key="turn 1")

    assert (one.story_id, two.story_id) == (story.id, other.id)


async def test_a_refused_request_leaves_no_key(database_url: str, world: World, story: Story) -> None:
    with pytest.raises(ChoiceNotFound):
        await world.stories.append_scene(story.id, NewScene("x", chosen_choice=1), request_key="k")

    stored = await world.stories.append_scene(story.id, SCENE, request_key="k")

    assert stored.number == 1
    assert await keys_stored(database_url) == 1


async def test_work_with_a_key_runs_once_whoever_asks(database_url: str, world: World, story: Story) -> None:
    runs = []

    async def work(tx: TransactionScope) -> list[int]:
        runs.append(1)
        return [(await tx.stories.append_scene(story.id, SCENE)).number]

    async with same_world(database_url, world.id, pools=2) as worlds:
        asked = [worlds[n % 2].run(work, request_key="import", arguments={"file": "a"}) for n in range(12)]
        results = await race(database_url, THE_STORY, [world.id, story.id], asked, blocked=12)

    assert results == [[1]] * 12
    assert len(runs) == 1
    with pytest.raises(RequestKeyReused):
        await world.run(work, request_key="import", arguments={"file": "b"})


async def test_work_that_was_rolled_back_leaves_no_key_and_runs_again(
    database_url: str, world: World, story: Story
) -> None:
    async def fail(tx: TransactionScope) -> None:
        await tx.stories.append_scene(story.id, SCENE)
        raise GaveUp

    async def succeed(tx: TransactionScope) -> int:
        return (await tx.stories.append_scene(story.id, SCENE)).number

    with pytest.raises(GaveUp):
        await world.run(fail, request_key="import")
    assert await keys_stored(database_url) == 0

    assert await world.run(succeed, request_key="import") == 1
    again = await world.run(succeed, request_key="import")
    assert again == 1, "it was done: the stored result answers"
    assert await read_path(world, story.id, 1) == [1]


_KEPT_BY_ANOTHER = """
    INSERT INTO livingworld.request_keys (world_id, scope_id, request_key, request_hash, result)
    SELECT $1, $1, 'k', $2, '{"result": "theirs"}'
"""


async def test_an_equal_request_that_did_not_meet_the_lock_is_found_by_its_key(database_url: str, world: World) -> None:
    calls = []

    async def work(tx: TransactionScope) -> str:
        calls.append(tx)
        return "ours"

    async with holding(database_url, _KEPT_BY_ANOTHER, [world.id, request_hash({})], commit=True) as holder:
        running = asyncio.create_task(world.run(work, request_key="k"))
        await holder.until_blocked()

    assert await running == "theirs"
    assert len(calls) == 1
    assert await keys_stored(database_url) == 1
