"""Refusals by what is stored: a missing row, an old version, a choice that is not offered. Then nothing is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from livingworld import LivingWorld, NewScene, Story, World
from livingworld.errors import (
    BranchNotFound,
    CharacterNotFound,
    ChoiceNotFound,
    LivingWorldError,
    SceneNotFound,
    StaleHead,
    StoryNotFound,
    VersionConflict,
    WorldNotFound,
)
from livingworld.identifiers import new_id
from livingworld.schema import metadata
from livingworld.testing.staged_races import connected
from tests.support.quiet import open_quietly

GONE = new_id()
Refused = Callable[[LivingWorld, World, Story], Awaitable[object]]
REFUSALS: list[tuple[type[LivingWorldError], Refused]] = [
    (WorldNotFound, lambda lw, _, __: lw.worlds.get(GONE)),
    (WorldNotFound, lambda lw, _, __: lw.worlds.archive(GONE)),
    (WorldNotFound, lambda lw, _, __: lw.worlds.purge(GONE)),
    (WorldNotFound, lambda lw, _, __: lw.worlds.update(GONE, expected_version=1, name="x")),
    (VersionConflict, lambda lw, w, _: lw.worlds.update(w.id, expected_version=9, name="x")),
    (StoryNotFound, lambda _, w, __: w.stories.get(GONE)),
    (StoryNotFound, lambda _, w, __: w.stories.append_scene(GONE, NewScene("x"))),
    (StoryNotFound, lambda _, w, __: w.stories.append_scene(GONE, NewScene("x", cast=["Somebody new"]))),
    (StoryNotFound, lambda _, w, __: w.stories.recent(GONE, 3)),
    (StoryNotFound, lambda _, w, __: w.stories.archive(GONE)),
    (StoryNotFound, lambda _, w, __: w.stories.purge(GONE)),
    (VersionConflict, lambda _, w, s: w.stories.update(s.id, expected_version=9, title="x")),
    (VersionConflict, lambda _, w, s: w.stories.edit_scene(s.id, 1, expected_version=9, content="x")),
    (BranchNotFound, lambda _, w, s: w.stories.head(s.id, branch=7)),
    (BranchNotFound, lambda _, w, s: w.stories.scenes(s.id, branch=7)),
    (BranchNotFound, lambda _, w, s: w.stories.append_scene(s.id, NewScene("x"), branch=7)),
    (SceneNotFound, lambda _, w, s: w.stories.scene(s.id, 7)),
    (SceneNotFound, lambda _, w, s: w.stories.raw_response(s.id, 7)),
    (SceneNotFound, lambda _, w, s: w.stories.edit_scene(s.id, 7, expected_version=1, content="x")),
    (StaleHead, lambda _, w, s: w.stories.append_scene(s.id, NewScene("x"), expected_head=0)),
    (StaleHead, lambda _, w, s: w.stories.append_scene(s.id, NewScene("x", cast=["Newcomer"]), expected_head=0)),
    (ChoiceNotFound, lambda _, w, s: w.stories.append_scene(s.id, NewScene("x", chosen_choice=3))),
    (CharacterNotFound, lambda _, w, s: w.stories.append_scene(s.id, NewScene("x", cast=[GONE]))),
    (CharacterNotFound, lambda _, w, __: w.characters.get(GONE)),
    (CharacterNotFound, lambda _, w, __: w.characters.add_alias(GONE, "Nobody")),
    (CharacterNotFound, lambda _, w, __: w.characters.update(GONE, expected_version=1, name="Nobody")),
]


async def rows(url: str) -> dict[str, list[Any]]:
    """Return every row of every table."""
    async with connected(url) as connection:
        return {
            table.name: await connection.fetch(f"SELECT * FROM {table.fullname} ORDER BY 1, 2")  # noqa: S608 - our own names
            for table in metadata.tables.values()
        }


async def test_what_is_refused_changes_no_row(database_url: str) -> None:
    async with open_quietly(database_url) as livingworld:  # nothing indexes words meanwhile
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        await world.stories.append_scene(story.id, NewScene("one", ["left", "right"]))
        before = await rows(database_url)

        for kind, call in REFUSALS:
            with pytest.raises(kind):
                await call(livingworld, world, story)

        assert await rows(database_url) == before


async def test_the_first_scene_follows_no_choice(world: World, story: Story) -> None:
    with pytest.raises(ChoiceNotFound):
        await world.stories.append_scene(story.id, NewScene("one", chosen_choice=1))
