"""What each player of the demo writes: decided in advance, and the same for the same arguments."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from livingworld.demo.branching_story import BranchingStory, walk
from livingworld.demo.playthroughs import Playthrough

#: Scenes that a story needs before its player undoes and forks, and the further scenes: one after each.
ENOUGH_FOR_DETOURS: Final = 3
_SCENES_OF_DETOURS: Final = 2
#: Ways through the story of the package that each player plays, one after another.
_WALKS_PER_PLAYER: Final = 3
#: Scenes of the shared story for each writer, and in all: the conflicts of n writers grow with n times n.
_SHARED_SCENES_PER_WRITER: Final = 12
_ENOUGH_SHARED_SCENES: Final = 240
#: The cast of a story from a file, which names no characters.
_FILE_PEOPLE: Final = ("The Narrator", "The Player", "Zoë Ångström", "André Núñez")


@dataclass(frozen=True, slots=True)
class Line:
    """A scene to write."""

    chosen: int | None
    text: str
    choices: tuple[str, ...]
    #: Names of the people in it, in their plain spelling.
    cast: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that will be written."""

    title: str
    premise: str
    #: Plain names of the people that all seats name.
    people: tuple[str, ...]
    #: For each player the stories to play, one after another.
    solos: tuple[tuple[tuple[Line, ...], ...], ...]
    #: The shared story that the writers compete for: its scene n is line n - 1.
    shared: tuple[Line, ...]
    writers: int

    @property
    def detours(self) -> int:
        """How many further scenes will be written: after an undo, and on a fork."""
        stories = [lines for stories in self.solos for lines in stories]
        return _SCENES_OF_DETOURS * sum(len(lines) >= ENOUGH_FOR_DETOURS for lines in stories)

    @property
    def scenes(self) -> int:
        """How many scenes of the plan will be written when all goes well."""
        return len(self.shared) + sum(len(lines) for stories in self.solos for lines in stories)


def plan_from_story(story: BranchingStory, *, players: int, writers: int) -> Plan:
    """Return a plan of random ways through a story, different for each player; the cast is named in the text."""
    walks = [walk(story, Random(seed)) for seed in range(players * _WALKS_PER_PLAYER)]  # noqa: S311 - guards no secret
    return _plan(walks, story.title, story.premise, story.characters, players=players, writers=writers, cast=_named)


def plan_from_playthroughs(playthroughs: Sequence[Playthrough], title: str, *, players: int, writers: int) -> Plan:
    """Return a plan that plays each play-through once, or repeatedly until every player has one."""
    return _plan(playthroughs, title, "", _FILE_PEOPLE, players=players, writers=writers, cast=_in_turn)


def spellings(name: str) -> tuple[str, ...]:
    """Return look-alike spellings of a name: case, spaces, composed and decomposed letters, an invisible character."""
    return (
        unicodedata.normalize("NFC", name),
        unicodedata.normalize("NFD", name).upper(),
        name.lower().replace(" ", "\N{NO-BREAK SPACE}"),
        unicodedata.normalize("NFD", name).replace(" ", "  "),
        f"{name[:1]}\N{ZERO WIDTH SPACE}{name[1:]}",
    )


_CastOf = Callable[[str, int, Sequence[str]], tuple[str, ...]]


def _plan(
    playthroughs: Sequence[Playthrough],
    title: str,
    premise: str,
    people: tuple[str, ...],
    *,
    players: int,
    writers: int,
    cast: _CastOf,
) -> Plan:
    parts = [_lines(playthrough, people, cast) for playthrough in playthroughs]
    rounds = range(max(players, len(parts)))
    solos = tuple(tuple(parts[index % len(parts)] for index in rounds[player::players]) for player in range(players))
    return Plan(title, premise, people, solos, _shared(parts, writers), writers)


def _shared(parts: Sequence[tuple[Line, ...]], writers: int) -> tuple[Line, ...]:
    """Return whole play-throughs, one after another as chapters, until there are enough scenes to compete for."""
    lines: list[Line] = []
    chapter = 0
    while len(lines) < min(writers * _SHARED_SCENES_PER_WRITER, _ENOUGH_SHARED_SCENES):
        lines += parts[chapter % len(parts)]
        chapter += 1
    return tuple(lines)


def _lines(playthrough: Playthrough, people: Sequence[str], cast: _CastOf) -> tuple[Line, ...]:
    return tuple(
        Line(turn.chosen, turn.text, turn.choices, cast(turn.text, index, people))
        for index, turn in enumerate(playthrough.turns)
    )


def _named(text: str, _index: int, people: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in people if name in text)


def _in_turn(_text: str, index: int, people: Sequence[str]) -> tuple[str, ...]:
    return (people[index % len(people)],)
