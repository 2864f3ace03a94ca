"""What comes out of facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from livingworld.story.characters.references import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One value of a fact."""

    #: The name of the character as it was when the fact was read, or the Subject; in a call it means the same again.
    subject: str | Subject
    #: The character that it is about; None for a Subject.
    character: UUID | None
    attribute: str
    #: A JSON value; None when it was retracted, and when it is JSON's null.
    value: Any
    #: Unique among all values that the fact ever had in the story, on whatever path.
    version: int
    #: The scene in which it became true; 0: before the first.
    scene_number: int
    #: Whether this is where it stopped being true; only `history` returns such ones.
    retracted: bool = False
    created_at: datetime
