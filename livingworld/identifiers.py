"""Ids: UUIDv7, made by the client, so that a repeated insert is recognised."""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """Return a new UUIDv7: unique everywhere, and nearly in order of time, which keeps indexes compact."""
    return uuid7()


@lru_cache(maxsize=4_096)
def parse_id(text: str) -> UUID:
    """Return the id of a text that PostgreSQL wrote; kept, since those of characters come again and again."""
    return UUID(text)
