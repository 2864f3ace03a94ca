"""What an examination finds, and what a repair did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong in one world, or in the database."""

    #: Name of the check, for programs.
    check: str
    #: NULL: it concerns the whole database.
    world_id: UUID | None
    #: How many rows or places are wrong, and the first of them.
    count: int
    examples: tuple[Mapping[str, Any], ...]
    #: What is wrong.
    wrong: str
    #: What that means for stories.
    meaning: str
    #: What a repair does, or why it is refused and what to do instead.
    repair: str
    #: Whether `Doctor.repair` repairs it.
    repairable: bool

    def as_json(self) -> dict[str, Any]:
        """Return every field, as plain JSON values."""
        fields = asdict(self) | {"world_id": None if self.world_id is None else str(self.world_id)}
        return fields | {"examples": [{name: _plain(value) for name, value in row.items()} for row in self.examples]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What a repair of one finding did."""

    finding: Finding
    #: How many places were repaired, each in one transaction.
    repaired: int
    #: How many were left as they were, because the repair of the place failed or did not remove what is wrong.
    left: int
    #: Why the first of those was left.
    reason: str | None

    def as_json(self) -> dict[str, Any]:
        """Return every field, as plain JSON values."""
        counts = {"repaired": self.repaired, "left": self.left, "reason": self.reason}
        return {"check": self.finding.check, "world_id": self.finding.as_json()["world_id"], **counts}


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, int | float | bool) else str(value)
