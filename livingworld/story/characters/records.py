"""What comes out: a character as a frozen record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """A character as it was when it was read."""

    id: UUID
    #: The name to show.
    name: str
    #: Every name that leads to this character, the shown one among them, oldest first.
    names: tuple[str, ...]
    #: What the application knows of the character, a JSON object.
    card: Mapping[str, Any]
    #: Raised by every change; `update` takes the one it decided on.
    version: int
    created_at: datetime
    updated_at: datetime
