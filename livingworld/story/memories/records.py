"""What goes in and comes out of memories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Self
from uuid import UUID

from livingworld import inputs
from livingworld.errors import InvalidInput, InvalidType
from livingworld.identifiers import new_id
from livingworld.models.embeddings.vectors import check_vector, normalized
from livingworld.story.characters.references import check_optional_character

#: The half-life of recency, in scenes of the path.
RECENCY_HALF_LIFE: Final = 50.0


def checked_content(content: object) -> str:
    """Return the text of a memory; raises InvalidInput."""
    return inputs.check_text("content", content, limit=inputs.MAX_DESCRIPTION_CHARACTERS, empty=False)


@dataclass(frozen=True, slots=True)
class NewMemory:
    """A text to remember; raises InvalidInput, naming the field, when it could not be stored."""

    content: str
    #: Who remembers it: an id or a name, in a turn's commit also of a newcomer in its cast; None: the story itself.
    character: UUID | str | None = None
    kind: str = field(default="event", kw_only=True)
    #: Whether only the character may ever recall it.
    private: bool = field(default=False, kw_only=True)
    #: From 0 to 1.
    importance: float = field(default=0.5, kw_only=True)
    #: From -1, painful, to 1, happy.
    valence: float = field(default=0.0, kw_only=True)
    #: Its embedding, and the name of the model that made it; both or neither.
    vector: Sequence[float] | None = field(default=None, kw_only=True)
    embedder: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        checked_content(self.content)
        check_optional_character("character", self.character)
        inputs.check_label("kind", self.kind)
        if not isinstance(self.private, bool):
            raise InvalidType("private", "must be True or False")
        if self.private and self.character is None:
            raise InvalidInput("private", "needs a character that the memory belongs to")
        inputs.check_number("importance", self.importance, minimum=0, maximum=1)
        inputs.check_number("valence", self.valence, minimum=-1, maximum=1)
        if (self.vector is None) != (self.embedder is None):
            missing = "vector" if self.vector is None else "embedder"
            raise InvalidInput(missing, "is missing: a vector and the embedder that made it come together")
        if self.vector is not None:
            object.__setattr__(self, "vector", normalized(check_vector("vector", self.vector)))
            inputs.check_label("embedder", self.embedder)

    def row(self) -> dict[str, Any]:
        """Return it as write_memories_v1 takes it, under a new id."""
        made = {} if self.vector is None else {"embedder": self.embedder, "vector": list(self.vector)}
        return {
            "memory_id": str(new_id()),
            "character": check_optional_character("character", self.character),
            "kind": self.kind,
            "content": self.content,
            "digest": sha256(self.content.encode()).hexdigest(),
            "private": self.private,
            "importance": float(self.importance),
            "valence": float(self.valence),
            **made,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Something that is remembered."""

    id: UUID
    story_id: UUID
    content: str
    #: Who remembers it; None: the story itself.
    character: UUID | None
    kind: str
    private: bool
    importance: float
    valence: float
    #: The scene in which it was remembered; 0: before the first.
    scene_number: int
    #: The summary that stands for it where that is visible, or None.
    consolidated_into: UUID | None
    #: When it was forgotten, or None.
    forgotten_at: datetime | None
    #: Incremented by every change; `update` takes the expected one.
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """A memory that came back, and why."""

    memory: Memory
    #: What the order goes by: the weighted sum of similarity, importance and recency.
    score: float
    #: The cosine of the vectors; without a vector, how well the words fit, from 0 to 1.
    similarity: float


class Recollection(tuple[Recalled, ...]):  # noqa: SLOT001 - a tuple has no room for slots
    """What came back, best first."""

    #: Whether there were more memories than were compared, so that one of them might have come before these.
    is_cut: bool

    def __new__(cls, recalled: Iterable[Recalled], *, is_cut: bool) -> Self:
        """Make it of what came back."""
        made = super().__new__(cls, recalled)
        made.is_cut = is_cut
        return made


@dataclass(frozen=True, slots=True)
class RecallWeights:
    """What a memory's place in the order is made of; raises InvalidInput for a negative weight.

    score = similarity * cosine + words * fit of the words + importance * importance
    + recency * 0.5 ** (scenes since then / half_life); without a vector, the fit of the words is the similarity.
    """

    similarity: float = 1.0
    importance: float = 0.2
    recency: float = 0.1
    #: Of the words beside a vector, where a query has both.
    words: float = 0.2
    #: In scenes of the path.
    half_life: float = RECENCY_HALF_LIFE

    def __post_init__(self) -> None:
        for name in ("similarity", "importance", "recency", "words"):
            inputs.check_number(name, getattr(self, name), minimum=0, maximum=1000)
        inputs.check_number("half_life", self.half_life, minimum=1e-6, maximum=1e9)
