"""Replacing a turn: exactly one of two wins, and both know it."""

from __future__ import annotations

import asyncio

import pytest

from livingworld import NewScene, Scene, Story, Turn, World
from livingworld.errors import Fenced, StaleHead
from livingworld.testing.staged_races import holding
from tests.support.patience import patiently
from tests.support.staging import THE_STORY, same_world
from tests.support.story_checks import broken_promises, read_path
from tests.support.turn_checks import at_once, broken_turns, rows


async def test_a_replaced_turn_is_told_and_cannot_commit(database_url: str, world: World, story: Story) -> None:
    async with same_world(database_url, world.id, pools=1) as (elsewhere,):
        with pytest.raises(Fenced):
            async with world.turns.take(story.id, request_key="first") as turn:
                told = await elsewhere.turns.play(story.id, at_once("the second"), request_key="second", busy="replace")
                async with patiently():
                    await turn.lost.wait()
                await turn.commit(NewScene("the first"))

    assert told.number == 1
    assert await read_path(world, story.id, 1) == [1]
    assert (await world.stories.scene(story.id, 1)).content == "the second"
    generations = await rows(
        database_url, "SELECT request_key, state, error FROM livingworld.generations ORDER BY request_key"
    )
    assert [row[:2] for row in generations] == [("first", "failed"), ("second", "complete")]
    assert "Fenced" in generations[0][2]
    assert await broken_turns(database_url, story.id) == []


async def test_who_was_replaced_is_not_told_the_scene_of_a_later_try_of_its_key_as_its_own(
    world: World, story: Story
) -> None:
    with pytest.raises(Fenced):
        async with world.turns.take(story.id, request_key="key") as turn:
            await world.turns.play(story.id, at_once("another"), request_key="another", busy="replace")
            await world.turns.play(story.id, at_once("the second try"), request_key="key")
            await turn.commit(NewScene("the first try"))

    assert (await world.turns.play(story.id, at_once("x"), request_key="key")).content == "the second try"


async def test_the_model_of_a_replaced_turn_is_cancelled(world: World, story: Story) -> None:
    working = asyncio.Event()
    cancelled: list[str] = []

    async def endless(turn: Turn) -> NewScene:
        working.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(turn.request_key)
            raise
        return NewScene("never")

    first = asyncio.create_task(world.turns.play(story.id, endless, request_key="first"))
    await working.wait()
    await world.turns.play(story.id, at_once("second"), request_key="second", busy="replace")

    with pytest.raises(Fenced):
        async with patiently():
            await first
    assert cancelled == ["first"]


@pytest.mark.parametrize("commit_first", [True, False])
async def test_replace_against_a_commit_that_is_under_way_one_wins_and_both_know_it(
    database_url: str, world: World, story: Story, *, commit_first: bool
) -> None:
    async with same_world(database_url, world.id, pools=1) as (elsewhere,):

        async def replace() -> Scene:
            take = elsewhere.turns.take(story.id, request_key="second", busy="replace", expected_head=0)
            async with take as turn:
                return await turn.commit(NewScene("the second"))

        async with world.turns.take(story.id, request_key="first") as turn:
            contenders = [turn.commit(NewScene("the first")), replace()]
            if not commit_first:
                contenders.reverse()
            tasks: list[asyncio.Task[Scene]] = []
            async with holding(database_url, THE_STORY, [world.id, story.id]) as holder:
                for contender in contenders:
                    tasks.append(asyncio.create_task(contender))
                    await holder.until_blocked(count=len(tasks))
            won, lost = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(won, Scene)
    assert won.content == ("the first" if commit_first else "the second")
    assert type(lost) is (StaleHead if commit_first else Fenced)
    assert await read_path(world, story.id, 1) == [1]
    assert await broken_promises(database_url, world.id, story.id) == []
    assert await broken_turns(database_url, story.id) == []


async def test_a_commit_that_trusts_its_token_of_yesterday_would_overwrite(
    database_url: str, world: World, story: Story
) -> None:
    """The naive version: the token is compared by the client, before the lock is there."""

    async def commit_naively(token: int) -> None:
        seen = await rows(database_url, "SELECT token FROM livingworld.turn_leases WHERE story_id = $1", story.id)
        if seen == [(token,)]:
            await world.stories.append_scene(story.id, NewScene("the first, too late"))

    async with world.turns.take(story.id, request_key="first") as turn:
        async with holding(database_url, THE_STORY, [world.id, story.id]) as holder:
            late = asyncio.create_task(commit_naively(turn._taken().holding.token))
            await holder.until_blocked(count=1)
            second = asyncio.create_task(
                world.turns.play(story.id, at_once("the second"), request_key="second", busy="replace")
            )
            await asyncio.sleep(0)
        await asyncio.gather(late, second)

    assert len(await read_path(world, story.id, 1)) == 2, "one should have been refused"
