"""Turns as they are read: who played, what was asked, what models were given and answered, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from livingworld.story.turns.records import Generation

#: committed: it became a scene. merged: another turn took its input in. replaced: another turn ended it while it ran.
TurnState = Literal["running", "committed", "merged", "failed", "replaced"]
#: What sums of tokens may be divided by.
UsagePart = Literal["turn", "story", "player", "model", "script"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerInput:
    """What one request brought to a turn."""

    request_key: str
    player: str | None
    choice: int | None
    instruction: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """A turn as it was when it was read."""

    story_id: UUID
    request_key: str
    #: Who played, in the application's words, or None.
    player: str | None
    state: TurnState
    #: Number of the branch where it was taken, and of the scene that it continues there, 0 before the first.
    branch: int
    head: int
    #: What the model was asked for, with what was merged into it.
    choice: int | None
    instruction: str | None
    #: What it was merged of: the turn's own input first, then those merged into it, in the order of arrival.
    inputs: tuple[PlayerInput, ...]
    #: Request key of the turn that took its input in, or None.
    merged_into: str | None
    #: Number of the scene that it regenerates, or None.
    regenerates: int | None
    #: The scene that it became, or None.
    scene_number: int | None
    #: How often it was taken.
    attempts: int
    #: Of the last attempt: its model, its time from the description or the grant to the answer, and why it failed.
    model: str | None
    duration: timedelta | None
    error: str | None
    #: Tokens of all attempts and calls together.
    input_tokens: int
    output_tokens: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One call of a model in a turn, as it was stored when it ended."""

    id: UUID
    #: What it is for, in the application's words.
    name: str
    model: str | None
    script_version: str | None
    #: How the model was asked, a JSON object.
    parameters: Mapping[str, Any]
    #: The parts of the prompt by name, in their order.
    prompt: Mapping[str, str]
    answer: str | None
    input_tokens: int | None
    output_tokens: int | None
    duration: timedelta
    #: Why it failed, or None.
    error: str | None
    #: When it ended.
    created_at: datetime
    #: The calls that were made in its block.
    calls: tuple[ModelCall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnAttempt:
    """One attempt at a turn."""

    #: From 1.
    number: int
    #: The answer that became the scene, or should have; None while it runs.
    generation: Generation | None
    #: The calls that the turn made itself; each has those that were made in its block.
    calls: tuple[ModelCall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnTree:
    """Everything that is stored of a turn."""

    turn: TurnRecord
    attempts: tuple[TurnAttempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """Tokens of some calls of models; what they are not divided by is None."""

    story_id: UUID | None
    request_key: str | None
    player: str | None
    model: str | None
    script_version: str | None
    #: How many attempts at scenes and calls were counted.
    calls: int
    input_tokens: int
    output_tokens: int
