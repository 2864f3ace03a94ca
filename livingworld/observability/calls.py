"""What one public call met on its way: measured only where somebody follows the call."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from uuid import UUID


@dataclass(slots=True)
class CallMeasure:
    """The units that one call has run, added up."""

    world_id: UUID | None = None
    story_id: UUID | None = None
    #: Further tries of its units, those behind a held row included.
    retries: int = 0
    #: How many requests the statement carried that carried this one; 0: it was sent by itself.
    group_size: int = 0
    #: Seconds between the request and its sending with a group.
    queue_seconds: float = 0.0
    #: Seconds that its units waited for rows that other sessions held.
    lock_seconds: float = 0.0
    #: Seconds between the sending of its statements and their answers.
    server_seconds: float = 0.0
    statements: int = 0
    #: Where its statements went: the database, the host, and the port where it is not 5432; empty: not known.
    server: tuple[str, str, str] = ("", "", "")

    def share(self, group: CallMeasure, size: int, queue_seconds: float) -> None:
        """Add what a group met that carried a request of this call."""
        if not self.group_size:  # a part that is sent again has waited for its story meanwhile, not in the queue
            self.queue_seconds += queue_seconds
        self.group_size = size
        self.retries += group.retries
        self.lock_seconds += group.lock_seconds
        self.server_seconds += group.server_seconds
        self.statements += group.statements
        self.world_id = group.world_id
        self.server = group.server


#: The call that the code of this context works for; None where nobody follows it.
current_call: Final[ContextVar[CallMeasure | None]] = ContextVar("livingworld call", default=None)
