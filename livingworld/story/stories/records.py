"""What comes out: stories, branches, scenes, choices and cast as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Status = Literal["active", "paused", "completed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A story as it was when it was read."""

    id: UUID
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
    #: Raised by every change of the fields above, not by scenes; `update` takes the one it decided on.
    version: int
    created_at: datetime
    #: When its fields, its scenes or its branches were last written.
    updated_at: datetime
    #: When it was archived, or None.
    archived_at: datetime | None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the numbered continuations that a scene offers."""

    #: From 1, in the order the scene offers them.
    number: int
    content: str


@dataclass(frozen=True, slots=True)
class CastMember:
    """Who appears in a scene: in a NewScene a name or an id, in a Scene always an id."""

    character: UUID | str
    #: What she does in it, in the application's words.
    role: str | None = None
    #: From 0 to 1, or None.
    importance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A scene as it was when it was read."""

    story_id: UUID
    #: Counts the scenes of the story in the order they were created: 1..n, no gap, no duplicate.
    number: int
    #: The scene it follows, or None for a first scene.
    parent_number: int | None
    #: Its place on the path from the start, from 1.
    position: int
    content: str
    choices: tuple[Choice, ...]
    cast: tuple[CastMember, ...]
    #: Which choice of the scene before led here, or None.
    chosen_choice: int | None
    location: str | None
    story_time: str | None
    #: The application's own data, a JSON object.
    metadata: Mapping[str, Any]
    #: Raised by every edit.
    version: int
    created_at: datetime
    updated_at: datetime


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
    #: Which choice of the scene before led here, or None.
    chosen_choice: int | None
    #: Numbers of the branches whose head it is.
    branches: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryHead:
    """Where a story stands: all that a prompt or a page begins with."""

    story: Story
    branch: Branch
    #: The scene at the head, with its choices and cast, or None before the first one.
    scene: Scene | None
