"""Clicks on one turn: of all that decided on one head one is told, and one request key is one scene."""

from __future__ import annotations

import asyncio

import pytest

from livingworld import NewScene, Scene, Story, Turn, World
from livingworld.errors import Busy, RequestKeyReused, StaleHead
from tests.support.patience import until
from tests.support.staging import THE_STORY, kinds, race, same_world
from tests.support.story_checks import broken_promises, read_path
from tests.support.turn_checks import at_once, broken_turns, rows

HELD = """
    SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND (state <> 'idle' OR xact_start IS NOT NULL)
    UNION ALL
    SELECT mode FROM pg_locks WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND pid <> pg_backend_pid()
"""


async def play_naively(world: World, story: Story, number: int) -> Scene:
    """Look at the head, ask the model, append: no lease, and the head is not looked at again."""
    assert (await world.stories.head(story.id)).branch.head <= 12
    return await world.stories.append_scene(story.id, NewScene(f"scene of {number}"))


@pytest.mark.rotates(parts=3)
@pytest.mark.parametrize("pools", [1, 3, 12])
async def test_of_twelve_clicks_from_one_head_one_is_told(
    database_url: str, world: World, story: Story, pools: int
) -> None:
    await world.stories.append_scene(story.id, NewScene("where everybody stands", ["on"]))
    async with same_world(database_url, world.id, pools=pools) as worlds:
        clicks = [
            worlds[number % pools].turns.play(
                story.id, at_once(f"scene of {number}"), request_key=f"click {number}", choice=1, expected_head=1
            )
            for number in range(12)
        ]
        results = await race(database_url, THE_STORY, [world.id, story.id], clicks, blocked=pools)

    assert kinds(results).count("Scene") == 1
    refused = [result for result in results if not isinstance(result, Scene)]
    assert len(refused) == 11
    assert all(isinstance(result, Busy | StaleHead) for result in refused), kinds(results)
    assert await read_path(world, story.id, 1) == [1, 2]
    assert await broken_promises(database_url, world.id, story.id) == []
    assert await broken_turns(database_url, story.id) == []


async def test_without_turns_twelve_clicks_are_twelve_scenes(database_url: str, world: World, story: Story) -> None:
    clicks = [play_naively(world, story, number) for number in range(12)]

    assert kinds(await race(database_url, THE_STORY, [world.id, story.id], clicks, blocked=1)) == ["Scene"] * 12


async def test_the_same_key_with_other_arguments_is_refused_while_it_runs_and_afterwards(
    world: World, story: Story
) -> None:
    async with world.turns.take(story.id, request_key="key", instruction="left") as turn:
        with pytest.raises(RequestKeyReused):
            await world.turns.play(story.id, at_once("no"), request_key="key", instruction="right", busy="queue")
        with pytest.raises(Busy) as busy:
            await world.turns.play(story.id, at_once("no"), request_key="another", instruction="left")
        await turn.commit(NewScene("one"))
    with pytest.raises(RequestKeyReused):
        await world.turns.play(story.id, at_once("no"), request_key="key", instruction="right")

    assert busy.value.request_key == "key"
    assert busy.value.running_for is not None
    assert busy.value.running_for.total_seconds() >= 0
    assert await read_path(world, story.id, 1) == [1]


async def test_a_turn_holds_no_connection_and_no_transaction_while_the_model_works(
    database_url: str, world: World, story: Story
) -> None:
    working = asyncio.Event()
    go_on = asyncio.Event()

    async def model(turn: Turn) -> NewScene:
        working.set()
        await go_on.wait()
        return NewScene("told")

    task = asyncio.create_task(world.turns.play(story.id, model, request_key="slow"))
    await working.wait()

    async def nothing_is_held() -> bool:
        checked_out = world._unit._database._engine.pool.checkedout()  # type: ignore[attr-defined]
        return checked_out == 0 and not await rows(database_url, HELD)

    await until(nothing_is_held)  # a renewal in the background may be under way, for a moment
    go_on.set()

    assert (await task).number == 1
