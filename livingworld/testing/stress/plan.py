"""What a stress run does: for how long, with how many writers, under which faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from livingworld.errors import InvalidInput


class Fault(StrEnum):
    """What is done to the writers, their connections or the server."""

    #: A process of writers is ended by SIGKILL, and another one is started.
    KILL = "kill"
    #: A connection is cut around a statement.
    CUT = "cut"
    #: A call is cancelled.
    CANCEL = "cancel"
    #: The server is killed and started again.
    RESTART = "restart"
    #: A process of writers is stopped for longer than its leases, and goes on.
    PAUSE = "pause"


MOST_WRITERS: Final = 1000
MOST_PROCESSES: Final = 64


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a run: its faults, in a world of its own."""

    name: str
    faults: frozenset[Fault]


@dataclass(frozen=True, slots=True)
class Plan:
    """The parameters of one run; raises InvalidInput when they are out of range."""

    seconds: float
    writers: int = 8
    processes: int = 2
    faults: tuple[Fault, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise InvalidInput("seconds", "must be greater than 0")
        if not 1 <= self.processes <= MOST_PROCESSES:
            raise InvalidInput("processes", f"must be from 1 to {MOST_PROCESSES}")
        if not self.processes <= self.writers <= MOST_WRITERS:
            raise InvalidInput("writers", f"must be from the number of processes to {MOST_WRITERS}")

    def phases(self, left_out: Sequence[Fault] = ()) -> tuple[Phase, ...]:
        """Return the phases: one without a fault, one for each fault, and one with all of them."""
        faults = [fault for fault in dict.fromkeys(self.faults) if fault not in left_out]
        phases = [Phase("none", frozenset()), *(Phase(fault.value, frozenset({fault})) for fault in faults)]
        together = [Phase("all", frozenset(faults))] if len(faults) > 1 else []
        return (*phases, *together)


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Return the faults of a list such as `kill,cut`; raises InvalidInput for an unknown one. Empty: none."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in {*Fault}]:
        raise InvalidInput("faults", f"has {unknown[0]!r}; known are {', '.join(Fault)}")
    return tuple(Fault(name) for name in names)
