"""What comes out: a document as an immutable snapshot, and what became of a merge."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, Literal

from livingworld.read_only import read_only


class Absent(Enum):
    """The type of ABSENT."""

    ABSENT = "absent"


#: There is no such field, or no such document; no JSON value, so null stays a value like any other.
ABSENT: Final = Absent.ABSENT

_LONGEST = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document as it was at one version."""

    key: str
    #: The value as JSON text, as the database wrote it.
    json: str
    #: 1 for the first one; raised by every write, never lowered. A deletion takes a number too.
    version: int
    #: When the first version was written.
    created_at: datetime
    #: When this version was written.
    updated_at: datetime

    @property
    def value(self) -> Any:  # noqa: ANN401 - a JSON value has no finite type
        """Return the value, which is read-only all the way down."""
        return read_only(json.loads(self.json, parse_int=_number))


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeConflict:
    """A field that both sides changed since the base, each in its own way; a side without it has ABSENT."""

    field: str
    base: Any
    #: What the caller of the merge wanted, decided on `base_version`.
    ours: Any
    #: What stood in the document, at `their_version`.
    theirs: Any
    base_version: int
    their_version: int
    #: Whose value was taken; None when that is left to the caller, and the document keeps `theirs`.
    resolved: Literal["ours", "theirs"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult:
    """What a merge made of a document."""

    #: The document after it; the stored one when there was nothing to write.
    document: Document
    #: Every field on which the sides differed, resolved or not: no value of either side is lost unreported.
    conflicts: tuple[MergeConflict, ...]

    @property
    def unresolved(self) -> tuple[MergeConflict, ...]:
        """Return the conflicts that are left to the caller."""
        return tuple(conflict for conflict in self.conflicts if conflict.resolved is None)


def _number(digits: str) -> int | float:
    """Read an integer; what is longer than 64 bits was written as a float, and is one again."""
    number = int(digits)
    return number if -_LONGEST <= number < _LONGEST else float(number)
