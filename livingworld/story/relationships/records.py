"""What goes in and comes out of relationships."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from livingworld import inputs
from livingworld.errors import InvalidInput
from livingworld.inputs import UNCHANGED, Unchanged
from livingworld.story.characters.references import check_character

#: The widest a value can be moved: from one end of its range to the other.
MAX_DELTA: Final = 2.0


@dataclass(frozen=True, slots=True)
class RelationshipChange:
    """A change of what `source` feels toward `target`; raises InvalidInput when it could not be stored."""

    #: Ids or names, in a turn's commit also of newcomers in its cast.
    source: UUID | str
    target: UUID | str
    #: Added to what is felt; the sum is clamped to -1..1, familiarity to 0..1.
    sentiment: float = 0.0
    trust: float = 0.0
    familiarity: float = 0.0
    #: What they are to each other from now on: "sister", "rival"; None: nothing any more.
    kind: str | Unchanged | None = UNCHANGED
    reason: str | None = None
    #: What is worth knowing of it from now on, in the application's words; None: nothing any more.
    notes: str | Unchanged | None = field(default=UNCHANGED, kw_only=True)
    #: Whether it is the value that the relationship begins with: where something is felt already, nothing changes.
    first: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if check_character("source", self.source) == check_character("target", self.target):
            raise InvalidInput("target", "must be another character than the source")
        for name in ("sentiment", "trust", "familiarity"):
            inputs.check_number(name, getattr(self, name), minimum=-MAX_DELTA, maximum=MAX_DELTA)
        if self.kind is not UNCHANGED:
            inputs.check_optional_label("kind", self.kind)
        if self.notes is not UNCHANGED:
            inputs.check_optional_text("notes", self.notes, limit=inputs.MAX_DESCRIPTION_CHARACTERS)
        inputs.check_boolean("first", self.first)
        inputs.check_optional_text("reason", self.reason, limit=inputs.MAX_DESCRIPTION_CHARACTERS)

    def row(self) -> dict[str, Any]:
        """Return it as write_relationships_v1 takes it."""
        return {
            "source": check_character("source", self.source),
            "target": check_character("target", self.target),
            "sentiment": float(self.sentiment),
            "trust": float(self.trust),
            "familiarity": float(self.familiarity),
            "kind": _given(self.kind),
            "notes": _given(self.notes),
            "reason": self.reason,
            "first": self.first,
        }


def _given(value: str | Unchanged | None) -> str | None:
    """Return a text as a change stores it: NULL leaves what is there, an empty text takes it away."""
    return None if value is UNCHANGED else value or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relationship:
    """What one character feels toward another at some place of a story."""

    source: UUID
    target: UUID
    #: From -1 to 1.
    sentiment: float
    #: From -1 to 1.
    trust: float
    #: From 0 to 1.
    familiarity: float
    kind: str | None
    #: What is worth knowing of it, in the application's words.
    notes: str | None
    #: How many changes led to it.
    changes: int
    #: The last change's version, unique in the relationship over all paths.
    version: int
    #: The scene that the last change stands at; 0: before the first.
    scene_number: int
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One change of a relationship, and what it led to."""

    #: What was added, before clamping.
    sentiment_delta: float
    trust_delta: float
    familiarity_delta: float
    reason: str | None
    #: Whether it was to be the first value; without effect where another change came before.
    first: bool
    relationship: Relationship
