"""A choice is looked for under the story's lock, and its scene is replaced only while no scene follows."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from livingworld import Generation, NewScene, Scene, Story, World
from livingworld.errors import ChoiceNotFound
from livingworld.testing.staged_races import holding
from tests.support.patience import patiently
from tests.support.staging import THE_STORY, same_world
from tests.support.story_checks import broken_promises, read_path


@pytest.fixture
async def shorter(world: World, story: Story) -> Generation:
    """Scene 1 offers two choices; return another text for it, which offers one."""
    await world.turns.play(story.id, lambda _: _scene("one", "left"), request_key="one")
    async with world.turns.regenerate(story.id, request_key="again") as turn:
        await turn.commit(NewScene("again", ["left", "right"]))
    return (await world.generations.alternatives(story.id, 1))[0]


async def _scene(text: str, *choices: str) -> NewScene:
    return NewScene(text, choices)


async def _one_after_the_other(
    url: str, world: World, story: Story, first: Coroutine[Any, Any, Scene], second: Coroutine[Any, Any, Scene]
) -> list[Scene | BaseException]:
    """Let both wait for the story's row, which PostgreSQL gives them in the order in which they came."""
    tasks = []
    async with holding(url, THE_STORY, [world.id, story.id]) as holder:
        for number, call in enumerate((first, second), start=1):
            tasks.append(asyncio.create_task(call))
            await holder.until_blocked(count=number)
    async with patiently():
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_choice_that_a_replacement_took_away_is_refused(
    database_url: str, world: World, story: Story, shorter: Generation
) -> None:
    async with same_world(database_url, world.id, pools=1) as (other,):
        replaced, refused = await _one_after_the_other(
            database_url,
            world,
            story,
            other.generations.choose(shorter.id),
            world.stories.append_scene(story.id, NewScene("to the right", chosen_choice=2)),
        )

    assert isinstance(replaced, Scene)
    assert replaced.content == "one"
    assert isinstance(refused, ChoiceNotFound)
    assert await read_path(world, story.id, 1) == [1]
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_a_scene_whose_choice_was_taken_keeps_it(
    database_url: str, world: World, story: Story, shorter: Generation
) -> None:
    fork = await world.branches.fork(story.id, "to the right", at=1)
    async with same_world(database_url, world.id, pools=1) as (other,):
        appended, beside = await _one_after_the_other(
            database_url,
            world,
            story,
            world.stories.append_scene(story.id, NewScene("to the right", chosen_choice=2), branch=fork.number),
            other.generations.choose(shorter.id, branch=1),
        )

    assert isinstance(appended, Scene)
    assert isinstance(beside, Scene)
    assert (appended.number, appended.chosen_choice, beside.number) == (2, 2, 3)
    first = await world.stories.scene(story.id, 1)
    assert [choice.content for choice in first.choices] == ["left", "right"]
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_choices_of_any_text_come_back_as_they_were_given(world: World, story: Story) -> None:
    texts = ['say "no"', "a\\b", "{}", "NULL", "a,b", " ", "tab\tand\nline", "日本 ñ"]
    stored = await world.stories.append_scene(story.id, NewScene("x", texts[:5] + texts[6:]))
    read = await world.stories.scene(story.id, 1)
    async with world.turns.take(story.id, request_key="k", choice=7) as turn:
        assert turn.context.choice is not None
        chosen = turn.context.choice.content

    assert [choice.content for choice in read.choices] == texts[:5] + texts[6:]
    assert (stored.choices, chosen) == (read.choices, texts[7])
