"""What an erasure returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from livingworld.read_only import ReadOnlyDict, read_only

#: What becomes of the scenes that a person's turns led to: their text is the story's, or goes too.
Scenes = Literal["keep", "blank"]
#: Rows by table, of one step.
Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """The receipt of an erasure: how many rows of each table were removed or blanked."""

    #: By the name of the table; a table of which nothing was erased is left out.
    rows: Mapping[str, int] = field(default_factory=ReadOnlyDict)

    @property
    def total(self) -> int:
        """All of them together; 0: there was nothing of this person."""
        return sum(self.rows.values())


class Receipt:
    """Adds up the counts of the steps."""

    def __init__(self) -> None:
        self._rows: Counter[str] = Counter()

    def add(self, counts: Counts) -> int:
        """Add the counts of a step and return their sum."""
        self._rows.update(counts)
        return sum(counts.values())

    def erased(self) -> Erased:
        """Return the receipt."""
        return Erased(rows=read_only({table: count for table, count in sorted(self._rows.items()) if count}))
