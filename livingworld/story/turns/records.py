"""What goes in and comes out: the input of a turn, its context, and generations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from livingworld import inputs
from livingworld.story.characters.records import Character
from livingworld.story.facts.records import Fact
from livingworld.story.memories.records import Memory
from livingworld.story.relationships.records import Relationship
from livingworld.story.stories.records import Branch, Choice, Scene, Story

#: What to do when another turn runs on the branch or waits for it: raise Busy; wait in order of arrival; end the
#: running turn and run instead; become one turn with the waiting one.
BusyPolicy = Literal["reject", "queue", "replace", "merge"]


@dataclass(frozen=True, slots=True)
class TurnInput:
    """What a player brings to a turn; raises InvalidInput when it could not be stored."""

    #: Number of a choice of the scene at the head, or None.
    choice: int | None = None
    instruction: str | None = None
    #: Who brings it, in the application's words.
    player: str | None = None

    def __post_init__(self) -> None:
        if self.choice is not None:
            inputs.check_integer("choice", self.choice, minimum=1)
        inputs.check_optional_text("instruction", self.instruction, limit=inputs.MAX_DESCRIPTION_CHARACTERS)
        if self.player is not None:
            inputs.check_label("player", self.player)


#: Makes one input of the waiting one and the new one; a pure function.
Combine = Callable[[TurnInput, TurnInput], TurnInput]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One attempt of a model at a turn, as it was when it was read."""

    id: UUID
    story_id: UUID
    #: The turn it was made for, and the number of the attempt at it, from 1.
    request_key: str
    attempt: int
    #: answered: the model has answered. complete: a scene was made of it, shown or not. failed: neither.
    state: Literal["answered", "complete", "failed"]
    #: Number of the scene that shows it, or None.
    scene_number: int | None
    model: str | None
    script_version: str | None
    #: How the model was asked, a JSON object.
    parameters: Mapping[str, Any]
    #: Digest of the prompt in hexadecimal, or None; equal prompts have equal ones.
    prompt_digest: str | None
    raw_response: str | None
    #: The text of the scene that was made of it, or None.
    content: str | None
    #: What was made of it while no scene shows it: content, choices, cast, location, story_time and metadata, a JSON
    #: object; None while a scene has them, and when nothing was made of it.
    parsed: Mapping[str, Any] | None
    input_tokens: int | None
    output_tokens: int | None
    #: From the description of the attempt, or the grant of the turn, to the answer.
    duration: timedelta | None
    #: Why it failed, or None.
    error: str | None
    created_at: datetime

    @property
    def shown(self) -> bool:
        """Whether a scene shows it."""
        return self.scene_number is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContext:
    """An immutable picture of the place that a turn continues; nothing that others write changes it."""

    story: Story
    branch: Branch
    #: Number of the scene that the turn continues, 0 before the first: what the commit compares with.
    head: int
    #: That scene, or None before the first.
    scene: Scene | None
    #: What the player chose of that scene's choices, or None.
    choice: Choice | None
    instruction: str | None
    #: The last scenes of the path, oldest first, that scene included.
    recent: tuple[Scene, ...]
    #: Who appears in that scene.
    cast: tuple[Character, ...]
    #: Everything that is true there.
    facts: tuple[Fact, ...] = ()
    #: What those who appear feel toward each other.
    relationships: tuple[Relationship, ...] = ()
    #: What was remembered in the recent scenes and is no secret, oldest first, after the summaries (of the last 100)
    #: from before them that still stand for their parts; `world.memories.recall` knows more.
    memories: tuple[Memory, ...] = ()

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What that scene offers."""
        return self.scene.choices if self.scene else ()
