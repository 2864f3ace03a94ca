"""The verdict of a stress run, as a table and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from livingworld.testing.history import Anomaly, Flaw, Operation, Verdict
from livingworld.testing.stress.plan import Fault
from livingworld.testing.stress.writer import INJECTED

#: What a table calls wrong order: whatever no serial order in real time explains.
_WRONG_ORDER: Final = (Flaw.WRONG_ORDER, Flaw.STALE, Flaw.OVERLAP, Flaw.NOT_SERIALISABLE)
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """What one phase did and what the checks of its history found."""

    name: str
    operations: int
    #: Calls, repetitions of one request included.
    tries: int
    #: How often each fault was injected.
    injected: Mapping[str, int]
    #: How often each call was confirmed.
    confirmed: Mapping[str, int]
    hung: int
    deadlocks: int
    counts: Mapping[Flaw, int]
    anomalies: tuple[Anomaly, ...]

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return not (self.anomalies or self.hung or self.deadlocks)

    def row(self) -> dict[str, Any]:
        """Return the row of the table."""
        return {
            "fault": self.name,
            "injected": sum(self.injected.values()),
            "operations": self.operations,
            "tries": self.tries,
            "lost": self.counts[Flaw.LOST] + self.counts[Flaw.GAP],
            "doubled": self.counts[Flaw.DOUBLED] + self.counts[Flaw.PHANTOM],
            "partial": self.counts[Flaw.PARTIAL],
            "wrong order": sum(self.counts[flaw] for flaw in _WRONG_ORDER),
            "hung": self.hung,
            "deadlocks": self.deadlocks,
        }


@dataclass(frozen=True, slots=True)
class StressResult:
    """What a whole run found."""

    phases: tuple[PhaseResult, ...]
    left_out: Mapping[Fault, str]

    @property
    def kept(self) -> bool:
        """Whether every promise was kept in every phase."""
        return all(phase.kept for phase in self.phases)

    def as_json(self) -> dict[str, Any]:
        """Return the verdict, the table, what was left out, and the first anomalies."""
        return {
            "promises_kept": self.kept,
            "table": [phase.row() for phase in self.phases],
            "confirmed": dict(sum((Counter(phase.confirmed) for phase in self.phases), Counter())),
            "left_out": {fault.value: reason for fault, reason in self.left_out.items()},
            "anomalies": [f"{phase.name}: {each}" for phase in self.phases for each in phase.anomalies][:_SHOWN],
        }


def phase_result(
    name: str, operations: Sequence[Operation], verdict: Verdict, *, hung: int, deadlocks: int
) -> PhaseResult:
    """Return the result of a phase from its history and the verdict on it."""
    played = [each for each in operations if each.client != INJECTED]
    requests = {(each.name, each.request_key) if each.request_key else id(each) for each in played}
    return PhaseResult(
        name,
        len(requests),
        len(played),
        Counter(each.name for each in operations if each.client == INJECTED),
        Counter(each.name for each in played if each.outcome == "ok"),
        hung,
        deadlocks,
        verdict.counts,
        verdict.anomalies,
    )
