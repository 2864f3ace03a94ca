"""What comes of a request: one class for each outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from livingworld.story.stories.appending import Refusal, Replayed
from livingworld.story.stories.records import Scene
from livingworld.story.turns.records import TurnInput
from livingworld.story.turns.requests import Holding


@dataclass(frozen=True, slots=True)
class Granted:
    """The turn is taken."""

    holding: Holding
    #: The input of the turn, with what was merged into it.
    input: TurnInput
    #: A generation with an answer that an earlier try left at the same place, or None.
    answered: UUID | None
    #: The context of the turn, in JSON; see turn_contexts_v1.sql.
    context: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """The request has a place in the queue of the branch, or follows a turn."""

    branch_number: int
    #: The turn whose result it waits for, which has its key or its input; None: it waits for its own turn.
    follows: str | None
    #: Its place in the queue; None: the turn that it follows took its input in.
    ticket: int | None


@dataclass(frozen=True, slots=True)
class Mergeable:
    """Another request waits whose input may be combined with this one's."""

    branch_number: int
    #: The request that waits, and its place in the queue.
    request_key: str
    ticket: int
    #: How often the waiting input was combined, and what it is now.
    merges: int
    input: TurnInput


TakeOutcome: TypeAlias = Granted | Replayed | Waiting | Mergeable | Refusal


@dataclass(frozen=True, slots=True)
class Wakes:
    """Who has to know that a turn is over."""

    #: The request whose turn has come at the branch, or None.
    next_key: str | None
    #: Whether other tries wait for the result, with the key of the turn or merged into it.
    followed: bool


@dataclass(frozen=True, slots=True)
class Committed:
    """The new scene is stored."""

    scene: Scene
    branch_number: int
    wakes: Wakes


@dataclass(frozen=True, slots=True)
class AlreadyStored:
    """The scene is stored, as regenerated or by an earlier commit, and has to be read."""

    scene_number: int
    branch_number: int
    wakes: Wakes
    #: Whether an earlier commit of the turn has stored it.
    replayed: bool


CommitOutcome: TypeAlias = Committed | AlreadyStored | Refusal


@dataclass(frozen=True, slots=True)
class Chosen:
    """A scene shows the generation."""

    scene_number: int
    branch_number: int
    #: Whether it showed the generation before.
    was_shown: bool
    #: The turn that was held at the branch, and the request whose turn has come; None: there is none.
    holder_key: str | None
    next_key: str | None
