"""Work that is to be one transaction, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from time import perf_counter
from typing import Generic
from uuid import UUID

from livingworld.observability.calls import CallMeasure
from livingworld.postgres.transactions.transaction import T, Work


class Phase(Enum):
    """How far one attempt has come: decides what an exception means."""

    OPENING = "opening"
    WORKING = "working"
    CHECKING = "checking"
    COMMITTING = "committing"
    COMMITTED = "committed"


@dataclass(slots=True)
class Unit(Generic[T]):
    """Work to run as one transaction, and how far its latest attempt has come."""

    work: Work[T]
    #: The world whose rows it works on; None for work without a world.
    world_id: UUID | None = None
    repeatable: bool = False
    single_statement: bool = False
    overdue: timedelta | None = None
    #: Whether it only reads, all of it as of one moment.
    snapshot: bool = False
    #: The call that it works for, where somebody follows it.
    call: CallMeasure | None = None
    #: Whether a deadline ends each of its statements before the driver would, on connections that keep statements.
    has_timer: bool = False
    #: When it was asked for, as a moment of perf_counter.
    began: float = field(default_factory=perf_counter)
    attempts: int = 0
    phase: Phase = Phase.OPENING
    #: Whether an earlier attempt ended in COMMIT without an answer.
    commit_was_lost: bool = False

    def sending(self) -> None:
        """Note that its one statement, which commits itself, is sent: from now on its effect may be unknown."""
        self.phase = Phase.COMMITTING
