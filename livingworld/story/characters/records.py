"""A character as a frozen record."""

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
    #: The application's own key, or None; unique in the world.
    key: str | None
    #: The name to show.
    name: str
    #: Every name of this character, including the shown one, oldest first.
    names: tuple[str, ...]
    #: The application's own data, a JSON object.
    card: Mapping[str, Any]
    #: Incremented by every change; `update` takes the expected one.
    version: int
    created_at: datetime
    updated_at: datetime
