"""All checks of a history, and their verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from livingworld.testing.history.counters import check_counters
from livingworld.testing.history.documents import check_documents
from livingworld.testing.history.flaws import Anomalies, Anomaly, Flaw
from livingworld.testing.history.lanes import check_lanes
from livingworld.testing.history.leases import check_leases
from livingworld.testing.history.lists import check_lists
from livingworld.testing.history.live_streams import check_live_streams
from livingworld.testing.history.operations import Observed, Operation
from livingworld.testing.history.request_keys import check_request_keys
from livingworld.testing.history.serialisability import check_serialisability
from livingworld.testing.history.units import check_units

_CHECKS: Final[tuple[Callable[[Sequence[Operation], Observed], Anomalies], ...]] = (
    check_lists,
    check_counters,
    check_documents,
    check_leases,
    check_lanes,
    check_request_keys,
    check_live_streams,
    check_units,
    check_serialisability,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checks of one history found."""

    operations: int
    anomalies: tuple[Anomaly, ...]

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return not self.anomalies

    @property
    def counts(self) -> Mapping[Flaw, int]:
        """How often each kind of promise was broken, zeros included."""
        found = Counter(each.flaw for each in self.anomalies)
        return {flaw: found[flaw] for flaw in Flaw}

    @property
    def flaws(self) -> frozenset[Flaw]:
        """The kinds of promises that were broken."""
        return frozenset(each.flaw for each in self.anomalies)


def check(operations: Sequence[Operation], observed: Observed) -> Verdict:
    """Return what is wrong with a history, given what is stored at its end; no I/O.

    Values are unique for their target. Operations that are concurrent may be in any order.
    """
    found = (anomaly for each in _CHECKS for anomaly in each(operations, observed))
    return Verdict(len(operations), tuple(dict.fromkeys(found)))
