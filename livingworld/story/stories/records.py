"""Stories, branches, scenes, choices and cast as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Status = Literal["active", "paused", "completed"]
#: What a list of stories begins with: the newest, the last played, or the first by title.
StoryOrder = Literal["created", "played", "title"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A story as it was when it was read."""

    id: UUID
    #: The application's own key, or None; unique in the world.
    key: str | None
    title: str
    premise: str
    system_prompt: str
    status: Status
    #: How many scenes it has; also the number of the newest one.
    scene_count: int
    #: Number of the branch that is played when none is named.
    current_branch: int
    #: The application's own settings, a JSON object.
    settings: Mapping[str, Any]
    #: Incremented by every change of the fields above, not by scenes; `update` takes the expected one.
    version: int
    created_at: datetime
    #: When its fields, its scenes or its branches were last written.
    updated_at: datetime
    #: When it was last played: a scene stored, regenerated or edited, or a branch moved. None: never.
    last_scene_at: datetime | None
    #: When it was archived, or None.
    archived_at: datetime | None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the numbered continuations that a scene offers."""

    #: From 1, in the order the scene offers them.
    number: int
    content: str


@dataclass(frozen=True, slots=True)
class SceneCharacter:
    """A character that appears in a scene."""

    id: UUID
    #: The name to show, as it was when the scene was read.
    name: str
    #: The part of the character in the scene, in the application's words.
    role: str | None = None
    #: From 0 to 1, or None.
    importance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A scene as it was when it was read."""

    story_id: UUID
    #: Numbers the scenes of the story in the order of their creation: 1..n, no gap, no duplicate.
    number: int
    #: The scene it follows, or None for a first scene.
    parent_number: int | None
    #: Its place on the path from the start, from 1.
    position: int
    content: str
    choices: tuple[Choice, ...]
    #: In the order of ids.
    cast: tuple[SceneCharacter, ...]
    #: The number of the choice of the scene before that led here, or None.
    chosen_choice: int | None
    location: str | None
    story_time: str | None
    #: The application's own data, a JSON object.
    metadata: Mapping[str, Any]
    #: Request key of the turn that wrote its text, for `world.turns.get`; None: no turn did.
    turn: str | None
    #: Incremented by every edit.
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScene:
    """A scene with what the model answered for it."""

    scene: Scene
    #: The answer before it was parsed, or None when it was not kept.
    raw_response: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryCharacter:
    """A character that appears in a story, on any branch."""

    id: UUID
    name: str
    #: Numbers of the first and of the last scene that she appears in.
    first_scene: int
    last_scene: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A named pointer into the story's tree of scenes."""

    number: int
    name: str
    #: Number of the scene it points at; 0 before the first scene.
    head: int
    #: How many scenes its path has.
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeScene:
    """A scene's place in the story's tree."""

    number: int
    #: The scene it follows, or None for a first scene.
    parent_number: int | None
    #: Its place on every path that leads through it, from 1.
    position: int
    #: The number of the choice of the scene before that led here, or None.
    chosen_choice: int | None
    #: Numbers of the branches whose head it is.
    branches: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryHead:
    """The state of a story that a prompt or a page begins with."""

    story: Story
    branch: Branch
    #: The scene at the head, with its choices and cast, or None before the first one.
    scene: Scene | None
