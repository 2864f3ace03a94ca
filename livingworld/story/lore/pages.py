"""Where a page of lore ends: book, position and id of its last entry, as a cursor."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any
from uuid import UUID

from livingworld.errors import InvalidCursor
from livingworld.inputs import MAX_INTEGER, MAX_LABEL_CHARACTERS, check_text
from livingworld.story.lore.records import LoreEntry

_CURSOR_CHARACTERS = 8 * MAX_LABEL_CHARACTERS


def cursor_of(entry: LoreEntry) -> str:
    """Return the cursor of an entry."""
    place = json.dumps([entry.book, entry.position, str(entry.id)], ensure_ascii=False)
    return base64.urlsafe_b64encode(place.encode()).decode()


def after_cursor(cursor: str) -> tuple[str, int, UUID]:
    """Read a cursor; anything that no page gave out is InvalidCursor."""
    check_text("after", cursor, limit=_CURSOR_CHARACTERS)
    try:
        book, position, lore_id = _parts(json.loads(base64.urlsafe_b64decode(cursor.encode()).decode()))
        return check_text("after", book), position, UUID(lore_id)
    except (ValueError, TypeError, AttributeError, binascii.Error):
        reason = "is not the cursor of a page"
    raise InvalidCursor("after", reason)


def _parts(place: Any) -> tuple[str, int, str]:  # noqa: ANN401 - JSON that is not checked yet
    book, position, lore_id = place
    if not isinstance(position, int) or abs(position) > MAX_INTEGER:
        raise TypeError
    return book, position, lore_id
