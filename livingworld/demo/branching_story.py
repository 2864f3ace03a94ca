"""The story that ships with the package, and a random way through it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

from livingworld.demo.playthroughs import Playthrough, Turn


@dataclass(frozen=True, slots=True)
class Way:
    """A choice, and the scene it leads to."""

    text: str
    to: str


@dataclass(frozen=True, slots=True)
class StoryScene:
    """A scene; one without ways is an ending."""

    text: str
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class BranchingStory:
    """Scenes by id, connected by choices."""

    title: str
    premise: str
    characters: tuple[str, ...]
    #: Id of the first scene.
    start: str
    scenes: Mapping[str, StoryScene]


@cache
def demo_story() -> BranchingStory:
    """Return the story that ships with the package."""
    source = files("livingworld.demo").joinpath("demo_story.json").read_text(encoding="utf-8")
    value = json.loads(source)
    return BranchingStory(
        title=value["title"],
        premise=value["premise"],
        characters=tuple(value["characters"]),
        start=value["start"],
        scenes={name: _scene(scene) for name, scene in value["scenes"].items()},
    )


def walk(story: BranchingStory, random: Random) -> Playthrough:
    """Return one way from the start to an ending, choosing at random; the same seed gives the same way."""
    turns: list[Turn] = []
    here, chosen = story.scenes[story.start], None
    while True:
        turns.append(Turn(chosen, here.text, tuple(way.text for way in here.ways)))
        if not here.ways:
            return Playthrough(tuple(turns))
        chosen = random.randint(1, len(here.ways))
        here = story.scenes[here.ways[chosen - 1].to]


def _scene(value: dict[str, Any]) -> StoryScene:
    return StoryScene(value["text"], tuple(Way(choice["text"], choice["to"]) for choice in value["choices"]))
