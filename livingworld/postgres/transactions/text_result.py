"""The rows of a statement that is text, as the driver gives them: named tuples, read as a CursorResult is."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, Final

from asyncpg import Record

_SHAPES: Final = 500


class TextResult:
    """All rows of one statement; a value is an attribute, or has the index of its column."""

    __slots__ = ("_rows",)

    def __init__(self, records: Sequence[Record]) -> None:
        self._rows: list[Any] = list(map(_shape(tuple(records[0].keys())), records)) if records else []

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> list[Any]:
        """Return the rows."""
        return self._rows

    def first(self) -> Any:  # noqa: ANN401 - a row
        """Return the first row, or None."""
        return self._rows[0] if self._rows else None

    def one(self) -> Any:  # noqa: ANN401 - a row
        """Return the only row."""
        (row,) = self._rows
        return row

    def one_or_none(self) -> Any:  # noqa: ANN401 - a row
        """Return the only row, or None."""
        return self.one() if self._rows else None

    def scalar(self) -> Any:  # noqa: ANN401 - a value
        """Return the first value of the first row, or None."""
        return self._rows[0][0] if self._rows else None

    def scalar_one(self) -> Any:  # noqa: ANN401 - a value
        """Return the first value of the only row."""
        return self.one()[0]


@lru_cache(_SHAPES)
def _shape(columns: tuple[str, ...]) -> Any:  # noqa: ANN401 - makes a named tuple of a record
    """Return the function that makes a named tuple of a record: reading by name from it is twice as fast."""
    shape: Any = namedtuple("Row", columns, rename=True)  # type: ignore[misc]  # noqa: PYI024 - the statement's names
    return partial(tuple.__new__, shape)  # what _make does, without a frame for each row
