"""What comes out of facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One value of a fact."""

    #: A character's id, as text, or a free word.
    subject: str
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
