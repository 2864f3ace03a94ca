"""A world as a frozen record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldRecord:
    """A world as it was when it was read."""

    id: UUID
    #: The application's own key, or None; unique in the database.
    key: str | None
    name: str
    #: The owner of the world, in the application's own words.
    tenant: str | None
    #: The application's own settings, a JSON object.
    settings: Mapping[str, Any]
    #: Incremented by every change; `update` takes the expected one.
    version: int
    created_at: datetime
    updated_at: datetime
    #: When it was archived, or None.
    archived_at: datetime | None
