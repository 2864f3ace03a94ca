"""A player replaces her own turn at once, whoever still runs it, and a turn of another player never."""

from __future__ import annotations

import asyncio

import pytest

from livingworld import NewScene, Scene, Story, World
from livingworld.errors import Busy, Fenced
from tests.concurrency.turn_players import LEASE, player
from tests.support.patience import patiently
from tests.support.staging import THE_STORY, race, same_world
from tests.support.story_checks import broken_promises, read_path
from tests.support.turn_checks import at_once, broken_turns, rows, until_found

WAITS = "SELECT FROM livingworld.turn_waiters WHERE request_key = $1"


async def test_busy_says_who_holds_the_branch_and_until_when(world: World, story: Story) -> None:
    async with world.turns.take(story.id, request_key="first", player="ada"):
        with pytest.raises(Busy) as busy:
            await world.turns.play(story.id, at_once("x"), request_key="second", player="bob")

        head = await world.stories.head(story.id)
    assert (busy.value.request_key, busy.value.player) == ("first", "ada")
    assert busy.value.held_until is not None
    assert busy.value.held_until > head.story.created_at


async def test_busy_says_who_waits_where_the_branch_is_free(database_url: str, world: World, story: Story) -> None:
    async with world.turns.take(story.id, request_key="first", player="ada"):
        waiting = asyncio.create_task(
            world.turns.play(story.id, at_once("x"), request_key="second", player="bob", busy="queue")
        )
        await until_found(database_url, WAITS, "second")
        # The lease is over; the process of the one that waits has not found out.
        await rows(database_url, "UPDATE livingworld.turn_waiters SET expires_at = now() + interval '1 hour'")
        await rows(database_url, "UPDATE livingworld.turn_leases SET expires_at = now() - interval '1 second'")
        with pytest.raises(Busy) as busy:
            await world.turns.play(story.id, at_once("x"), request_key="third", player="eve")
        waiting.cancel()
        await asyncio.wait([waiting])

    assert (busy.value.request_key, busy.value.player) == ("second", "bob")


async def test_a_player_whose_process_was_killed_plays_at_once_when_she_is_back(
    database_url: str, world: World, story: Story
) -> None:
    async with player(database_url, world, story) as killed:
        assert await killed.do("take click-1 reject ada") == "taken click-1"
        await killed.kill()

        with pytest.raises(Busy) as busy:
            await world.turns.play(story.id, at_once("x"), request_key="click-2", player="ada")
        assert busy.value.player == "ada"
        async with patiently():  # the lease would last for an hour
            scene = await world.turns.play(
                story.id, at_once("again"), request_key="click-3", player="ada", replace_own=True
            )

    assert LEASE.total_seconds() == 3600
    assert (scene.number, scene.content) == (1, "again")
    states = await rows(database_url, "SELECT request_key, state FROM livingworld.turns ORDER BY request_key")
    assert states == [("click-1", "replaced"), ("click-3", "committed")]
    assert await broken_turns(database_url, story.id) == []


@pytest.mark.parametrize("name", [None, "bob"])
async def test_the_turn_of_another_player_or_of_none_is_not_replaced(
    database_url: str, world: World, story: Story, name: str | None
) -> None:
    async with world.turns.take(story.id, request_key="first", player=name) as turn:
        with pytest.raises(Busy):
            await world.turns.play(story.id, at_once("x"), request_key="second", player="ada", replace_own=True)
        await turn.commit(NewScene("kept"))

    assert await broken_turns(database_url, story.id) == []


async def test_a_living_owner_is_told_and_fenced(database_url: str, world: World, story: Story) -> None:
    async with same_world(database_url, world.id, pools=1) as (elsewhere,):
        with pytest.raises(Fenced):
            async with world.turns.take(story.id, request_key="first", player="ada") as turn:
                scene = await elsewhere.turns.play(
                    story.id, at_once("newer"), request_key="second", player="ada", replace_own=True
                )
                async with patiently():
                    await turn.lost.wait()
                await turn.commit(NewScene("older"))

    assert scene.content == "newer"
    assert await read_path(world, story.id, 1) == [1]
    assert await broken_promises(database_url, world.id, story.id) == []
    assert await broken_turns(database_url, story.id) == []


@pytest.mark.parametrize("commit_first", [True, False])
async def test_against_a_commit_that_is_under_way_one_wins_and_no_scene_is_doubled(
    database_url: str, world: World, story: Story, *, commit_first: bool
) -> None:
    async with (
        same_world(database_url, world.id, pools=1) as (elsewhere,),
        world.turns.take(story.id, request_key="first", player="ada") as turn,
    ):
        contenders = [turn.commit(NewScene("older")), own(elsewhere, story, "second")]
        if not commit_first:
            contenders.reverse()
        results = await race(database_url, THE_STORY, [world.id, story.id], contenders, blocked=2)
        older, newer = results if commit_first else reversed(results)
    assert isinstance(older, Scene | Fenced)
    assert isinstance(newer, Scene)
    expected = ["newer"] if isinstance(older, Fenced) else ["older", "newer"]
    told = [(await world.stories.scene(story.id, number)).content for number in await read_path(world, story.id, 1)]
    assert told == expected
    assert await broken_promises(database_url, world.id, story.id) == []
    assert await broken_turns(database_url, story.id) == []


async def test_of_four_new_processes_of_one_player_the_last_one_holds_the_turn(
    database_url: str, world: World, story: Story
) -> None:
    async with (
        same_world(database_url, world.id, pools=4) as worlds,
        world.turns.take(story.id, request_key="first", player="ada"),
    ):

        async def hold(there: World, key: str) -> Scene:
            async with there.turns.take(story.id, request_key=key, player="ada", replace_own=True) as turn:
                await taken.wait()
                return await turn.commit(NewScene(key))

        taken = asyncio.Event()
        holds = [asyncio.create_task(hold(there, f"key-{number}")) for number, there in enumerate(worlds)]
        await until_found(database_url, "SELECT FROM livingworld.turns WHERE state = 'replaced' HAVING count(*) = 4")
        taken.set()
        results = await asyncio.gather(*holds, return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["Fenced", "Fenced", "Fenced", "Scene"]
    assert await read_path(world, story.id, 1) == [1]
    assert await broken_turns(database_url, story.id) == []


async def test_her_requests_that_wait_are_dropped_and_those_of_others_stay_in_line(
    database_url: str, world: World, story: Story
) -> None:
    """A killed process leaves a place in the line too, which would hold up its player."""
    async with world.turns.take(story.id, request_key="first", player="bob") as turn:
        ghost = asyncio.create_task(
            world.turns.play(story.id, at_once("ghost"), request_key="ghost", player="ada", busy="queue")
        )
        await until_found(database_url, WAITS, "ghost")
        again = asyncio.create_task(
            world.turns.play(
                story.id, at_once("again"), request_key="again", player="ada", busy="queue", replace_own=True
            )
        )
        await until_found(database_url, WAITS, "again")
        tickets = await rows(database_url, "SELECT request_key FROM livingworld.turn_waiters ORDER BY ticket LIMIT 1")
        await turn.commit(NewScene("first"))
        async with patiently():
            told = [(await again).number, (await ghost).number]

    assert tickets == [("again",)]
    assert told == [2, 3]  # one that lives asks again, and has a place behind
    assert await broken_turns(database_url, story.id) == []


async def own(world: World, story: Story, key: str) -> Scene:
    return await world.turns.play(story.id, at_once("newer"), request_key=key, player="ada", replace_own=True)
