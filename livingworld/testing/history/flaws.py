"""What a history can show of a store that breaks a promise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Flaw(StrEnum):
    """A kind of broken promise."""

    #: An effect that was confirmed is not there.
    LOST = "lost"
    #: An effect is there twice, or two callers received what only one may have.
    DOUBLED = "doubled"
    #: Of a unit one effect is there and another one is not.
    PARTIAL = "partial"
    #: Effects are in another order than their calls, or than their answers say.
    WRONG_ORDER = "wrong order"
    #: A read misses what was confirmed before it began.
    STALE = "stale"
    #: What is there was refused, or nobody asked for it.
    PHANTOM = "phantom"
    #: Two had at once what only one may have.
    OVERLAP = "overlap"
    #: An event of a stream did not come, and no notice said so.
    GAP = "gap"
    #: No order of all operations, one after the other, explains the answers.
    NOT_SERIALISABLE = "not serialisable"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One broken promise, with the place and the evidence."""

    flaw: Flaw
    target: str
    what: str

    def __str__(self) -> str:
        return f"{self.flaw} in {self.target}: {self.what}"


Anomalies: TypeAlias = Iterator[Anomaly]
