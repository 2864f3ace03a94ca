"""What is asked of the statements that take turns, commit them, and choose among generations."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from livingworld.inputs import canonical_json
from livingworld.postgres.idempotency import request_hash
from livingworld.story.stories.append_request import text_array
from livingworld.story.stories.new_scene import NewScene
from livingworld.story.turns.records import BusyPolicy, TurnInput

#: The scene at the head, as a scene to regenerate.
AT_HEAD: Final = 0


@dataclass(frozen=True, slots=True)
class TakeRequest:
    """One turn to take."""

    story_id: UUID
    branch_number: int | None
    expected_head: int | None
    #: The scene to regenerate, AT_HEAD, or None for a new scene.
    regenerates: int | None
    request_key: str
    #: Names this try; also the id of the generation that it leads to.
    owner: UUID
    input: TurnInput
    busy: BusyPolicy
    recent: int
    #: Whether a running turn of the same player ends.
    replace_own: bool = False

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice has the effect of sending it once: the owner tells the tries apart."""
        return True

    @property
    def characters(self) -> int:
        """About how many characters of text it brings."""
        return len(self.input.instruction or "")

    def request_hash(self) -> bytes:
        """Return the digest of what a repetition must repeat; where the branch stands is no part of it."""
        given = self.input
        return request_hash([self.branch_number, self.regenerates, given.choice, given.instruction, given.player])

    def values(self) -> tuple[Any, ...]:
        """Return what this request puts into each array of take_turns_v1, in their order."""
        return (
            self.story_id,
            self.branch_number,
            self.expected_head,
            self.regenerates,
            self.request_key,
            self.request_hash(),
            self.owner,
            self.input.choice,
            self.input.instruction,
            self.busy,
            self.recent,
            self.input.player,
            self.replace_own,
        )


@dataclass(frozen=True, slots=True)
class Holding:
    """The proof that a turn may be committed: which turn, by which try, and the token of the branch's lease."""

    story_id: UUID
    branch_number: int
    request_key: str
    owner: UUID
    token: int
    attempt: int
    base_scene_number: int | None


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """One turn to commit; `cast` has a member by id, or by name with the values that make a new character."""

    holding: Holding
    scene: NewScene
    cast: tuple[dict[str, Any], ...]
    raw_response: str | None
    #: Id for the generation that keeps the text of a regenerated scene that no generation has.
    spare_id: UUID
    #: What is known of the generation, as columns of its table.
    generation: dict[str, Any]
    #: What becomes true with the scene, in JSON, or None.
    state: str | None

    @property
    def story_id(self) -> UUID:
        """The story it is written in."""
        return self.holding.story_id

    @property
    def repeatable(self) -> bool:
        """Whether sending it again finds the scene that is stored: the token proves that it is the same commit."""
        return True

    @property
    def characters(self) -> int:
        """About how many characters of text it brings, the copy of the response in the generation included."""
        return len(self.scene.content) + 2 * len(self.raw_response or "") + len(self.state or "")

    def values(self) -> tuple[Any, ...]:
        """Return what this request puts into each array of commit_turns_v1, in their order."""
        scene = self.scene
        return (
            self.holding.story_id,
            self.holding.request_key,
            self.holding.owner,
            self.holding.token,
            scene.content,
            scene.location,
            scene.story_time,
            canonical_json(scene.metadata) if scene.metadata else None,
            self.raw_response,
            text_array(scene.choices) if scene.choices else None,
            canonical_json(self.cast) if self.cast else None,
            self.spare_id,
            canonical_json(self.generation) if self.generation else None,
            self.state,
        )


@dataclass(frozen=True, slots=True)
class ChooseRequest:
    """A generation to show, and where."""

    story_id: UUID
    generation_id: UUID
    branch_number: int | None
    #: Name for a branch that has to be made, or None for "alternative n".
    branch_name: str | None
    expected_head: int | None
    #: Id for the generation that keeps the text of a scene that no generation has.
    spare_id: UUID


def turn_topic(story_id: UUID, request_key: str) -> str:
    """Return the topic that says that the turn of a request has come."""
    return f"turn:{story_id}:{_digest(request_key)}"


def end_topic(story_id: UUID, request_key: str) -> str:
    """Return the topic that says that the turn of a request is over, or was lost."""
    return f"turn-end:{story_id}:{_digest(request_key)}"


def _digest(request_key: str) -> str:
    """Return a request key as a topic may contain it."""
    return blake2b(request_key.encode(), digest_size=8).hexdigest()
