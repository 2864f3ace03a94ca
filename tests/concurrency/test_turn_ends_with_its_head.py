"""A turn is for one head: when the head moves, or is moved away and back, or regenerated, the turn is over."""

from __future__ import annotations

import pytest

from livingworld import NewScene, Story, World
from livingworld.errors import Busy, Fenced, StaleHead
from tests.support.patience import patiently
from tests.support.story_checks import read_path
from tests.support.turn_checks import at_once, broken_turns


async def test_an_append_beside_a_turn_ends_it(database_url: str, world: World, story: Story) -> None:
    with pytest.raises(StaleHead) as stale:
        async with world.turns.take(story.id, request_key="first") as turn:
            await world.stories.append_scene(story.id, NewScene("from the side"))
            await turn.commit(NewScene("too late"))

    assert (stale.value.expected, stale.value.actual) == (0, 1)
    assert await read_path(world, story.id, 1) == [1]
    assert await broken_turns(database_url, story.id) == []


async def test_a_head_that_was_moved_away_and_back_is_another_one(
    database_url: str, world: World, story: Story
) -> None:
    await world.stories.append_scene(story.id, NewScene("one"))
    await world.stories.append_scene(story.id, NewScene("two"))
    with pytest.raises(Fenced):
        async with world.turns.take(story.id, request_key="first", expected_head=2) as turn:
            await world.branches.undo(story.id)
            await world.branches.redo(story.id)
            assert (await world.stories.head(story.id)).branch.head == 2
            await turn.commit(NewScene("three"))

    assert await read_path(world, story.id, 1) == [1, 2]
    assert await broken_turns(database_url, story.id) == []


async def test_a_scene_that_was_told_anew_is_not_the_one_the_turn_knew(world: World, story: Story) -> None:
    await world.turns.play(story.id, at_once("one"), request_key="one")
    with pytest.raises(Fenced):
        async with world.turns.take(story.id, request_key="two", choice=1) as turn:
            async with world.turns.regenerate(story.id, request_key="regenerated", busy="replace") as again:
                await again.commit(NewScene("one, regenerated", ["another choice"]))
            await turn.commit(NewScene("two"))

    assert await read_path(world, story.id, 1) == [1]
    assert (await world.stories.scene(story.id, 1)).content == "one, regenerated"


async def test_a_choice_among_generations_ends_a_turn_too(world: World, story: Story) -> None:
    await world.turns.play(story.id, at_once("one"), request_key="one")
    async with world.turns.regenerate(story.id, request_key="regenerated") as again:
        await again.commit(NewScene("one, regenerated"))
    old, _ = await world.generations.alternatives(story.id, 1)
    with pytest.raises(Fenced):
        async with world.turns.take(story.id, request_key="two") as turn:
            await world.generations.choose(old.id)
            async with patiently():
                await turn.lost.wait()
            await turn.commit(NewScene("two"))

    assert (await world.stories.scene(story.id, 1)).content == "one"


async def test_after_a_turn_was_left_the_next_one_need_not_wait(world: World, story: Story) -> None:
    with pytest.raises(ZeroDivisionError):
        async with world.turns.take(story.id, request_key="first"):
            with pytest.raises(Busy):
                await world.turns.play(story.id, at_once("no"), request_key="second")
            raise ZeroDivisionError

    assert (await world.turns.play(story.id, at_once("yes"), request_key="second")).number == 1
