"""Where work runs as a whole or not at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from livingworld.postgres.transactions.transaction import T, Work


class UnitOfWork(Protocol):
    """Where a repository's work runs: in a transaction of its own, or in one that is open already."""

    #: How long a call of several units may take; None in a transaction, whose block is the application's.
    call_timeout: timedelta | None

    async def run(self, work: Work[T], *, repeatable: bool = False, single_statement: bool = False) -> T:
        """Run `work` wholly or not at all and return its result.

        `repeatable`: running it twice has the effect of running it once, so a lost answer is no reason to give up.
        `single_statement`: one statement is the whole transaction, in one round trip.
        """
        ...

    def refuse_misplaced(self) -> None:
        """Raise what a unit that begins here would raise at once: for calls that hand their work to another task."""
        ...

    def refuse_other_loops(self) -> None:
        """Raise WrongEventLoop anywhere but in the event loop that the LivingWorld was opened in."""
        ...
