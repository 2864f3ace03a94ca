"""What becomes true in the scene of a turn: facts, relationships and memories, stored with the scene or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from livingworld.errors import InvalidType
from livingworld.inputs import canonical_json, check_sequence
from livingworld.story.facts.new_facts import fact_rows, subject_references
from livingworld.story.memories.records import NewMemory
from livingworld.story.memories.repository import MAX_MEMORIES
from livingworld.story.relationships.records import RelationshipChange
from livingworld.story.relationships.repository import MAX_CHANGES


@dataclass(frozen=True, slots=True, kw_only=True)
class NewState:
    """What becomes true with a scene; raises InvalidInput when it could not be stored.

    Characters go by id or by any of their names: one that exists, or one in the cast of the same scene.
    """

    #: By (subject, attribute): the value, or `livingworld.RETRACTED`. A subject that is no character is a `Subject`.
    facts: Mapping[tuple[UUID | str, str], Any] = field(default_factory=dict)
    #: Carried out one after the other.
    relationships: Sequence[RelationshipChange] = ()
    memories: Sequence[NewMemory] = ()

    def __post_init__(self) -> None:
        fact_rows(self.facts)
        _check_all("relationships", self.relationships, RelationshipChange, MAX_CHANGES)
        _check_all("memories", self.memories, NewMemory, MAX_MEMORIES)

    def as_json(self) -> str:
        """Return it as write_turn_state_v1 takes it."""
        facts = fact_rows(self.facts)
        changes = [each.row() for each in self.relationships]
        remembered = [each.row() for each in self.memories]
        named = {row[end] for row in changes for end in ("source", "target")}
        named |= {row["character"] for row in remembered if row["character"] is not None}
        characters = sorted(named | subject_references(facts))
        state = {"characters": characters, "facts": facts, "relationships": changes, "memories": remembered}
        return canonical_json(state)


def _check_all(name: str, given: object, kind: type, limit: int) -> None:
    for index, each in enumerate(check_sequence(name, given, limit=limit)):
        if not isinstance(each, kind):
            raise InvalidType(f"{name}[{index}]", f"must be a {kind.__name__}, not {type(each).__name__}")
