"""Keyset pages: a list read in slices that neither repeat nor skip a row when others write between two slices."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Column, Select, tuple_

from livingworld.errors import InvalidCursor
from livingworld.inputs import MAX_INTEGER, MAX_LABEL_CHARACTERS, check_integer, check_text

T = TypeVar("T")

#: Most items of one page.
MAX_PAGE_SIZE = 1000
#: Room for a name in a cursor.
_CURSOR_CHARACTERS = 8 * MAX_LABEL_CHARACTERS
#: After every id that can exist.
NEWEST_ID = UUID(int=2**128 - 1)
#: After every row that can exist.
_NEWEST = (datetime.max.replace(tzinfo=UTC), NEWEST_ID)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One slice of a list."""

    items: tuple[T, ...]
    #: Pass it as `after` for the next slice; None when this is the last one.
    next: str | None


def check_limit(limit: object, field: str = "limit") -> int:
    """Return the page size if it is from 1 to MAX_PAGE_SIZE."""
    return check_integer(field, limit, minimum=1, maximum=MAX_PAGE_SIZE)


def newest_cursor(cursor: object) -> tuple[datetime, UUID]:
    """Return the place after which a slice of a `newest_first` list begins; None is before the newest row.

    Raises InvalidCursor for anything else that no page gave out.
    """
    if cursor is None:
        return _NEWEST
    created_at, row_id = read_cursor(cursor, datetime.fromisoformat, UUID)
    return created_at, row_id


def newest_first(
    statement: Select[Any], created_at: Column[Any], row_id: Column[Any], *, after: tuple[datetime, UUID], limit: int
) -> Select[Any]:
    """Order a list by creation, newest first, and cut the slice after a place, one row longer than the page.

    The first slice has a place too: the row comparison selects the index that has this order, so that a plan that was
    made for an empty table does not read and sort all rows of a world later.
    """
    statement = statement.where(tuple_(created_at, row_id) < after)
    return statement.order_by(created_at.desc(), row_id.desc()).limit(limit + 1)


def page_of(rows: Sequence[Any], limit: int, record: Callable[[Any], T], row_id: str) -> Page[T]:
    """Return the page that rows of a `newest_first` statement make."""
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    cursor = None if last is None else write_cursor(last.created_at.isoformat(), str(getattr(last, row_id)))
    return Page(tuple(record(row) for row in shown), cursor)


def page_by(records: Sequence[T], limit: int, cursor: Callable[[T], object]) -> Page[T]:
    """Return the page that at most `limit + 1` records make, where a cursor is one value of a record."""
    shown = tuple(records[:limit])
    return Page(shown, str(cursor(shown[-1])) if len(records) > limit else None)


def id_cursor(cursor: object) -> UUID:
    """Read a cursor that is the id at which a page ended; anything that no page gave out is InvalidCursor."""
    text = check_text("after", cursor)
    try:
        return UUID(text)
    except ValueError:
        reason = "is not the cursor of a page"
    raise InvalidCursor("after", reason)


def number_cursor(cursor: object) -> int:
    """Read a cursor that is the number at which a page ended; raises InvalidCursor for anything else."""
    text = check_text("after", cursor)
    if not (text.isascii() and text.isdigit() and len(text) < len(str(MAX_INTEGER))):
        raise InvalidCursor("after", "is not the cursor of a page")
    return int(text)


def write_cursor(*values: float | str) -> str:
    """Return a cursor that holds the values at which a page ended."""
    return base64.urlsafe_b64encode(json.dumps(values, ensure_ascii=False).encode()).decode()


def read_cursor(cursor: object, *readers: Callable[[Any], Any]) -> tuple[Any, ...]:
    """Return the values of a cursor, each checked by its reader; raises InvalidCursor for anything else."""
    text = check_text("after", cursor, limit=_CURSOR_CHARACTERS)
    try:
        values = json.loads(base64.urlsafe_b64decode(text.encode()).decode())
        return tuple(reader(value) for reader, value in zip(readers, values, strict=True))
    except (ValueError, TypeError, AttributeError, RecursionError):
        reason = "is not the cursor of a page"
    raise InvalidCursor("after", reason)
