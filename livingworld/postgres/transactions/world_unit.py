"""Where the work of one world runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol
from uuid import UUID

from livingworld.postgres.replicas.wanted import Wanted
from livingworld.postgres.transactions.transaction import Operation, P, T


class WorldUnit(Protocol):
    """Where the work of one world runs: each call in a transaction of its own, or all in one that is open already.

    A call gives a function of a transaction and the function's other arguments; the transaction carries the world.
    `idempotent`: running the function twice has the effect of running it once, so it runs again when the answer of a
    COMMIT was lost, which is CommitUnknown otherwise. `single`: the function is one statement, which is its own
    transaction in one round trip.
    """

    #: How long a call of several units may take; None in a transaction, whose block is the application's.
    call_timeout: timedelta | None

    @property
    def world_id(self) -> UUID:
        """Id of the world."""
        ...

    async def read(self, work: Operation[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """Run one statement that writes nothing; a further one sees what was committed in between."""
        ...

    async def read_at_least(self, wanted: Wanted | None, work: Operation[P, T], /, *args: P.args, **kw: P.kwargs) -> T:
        """Read as `read` does, but from a standby that is as new as wanted, where there is one; None: never there."""
        ...

    async def write(self, work: Operation[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """Run `work` wholly or not at all."""
        ...

    async def write_idempotent(self, work: Operation[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """Run idempotent `work` wholly or not at all."""
        ...

    async def write_single(self, work: Operation[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """Run one statement that writes."""
        ...

    async def write_single_idempotent(self, work: Operation[P, T], *args: P.args, **kw: P.kwargs) -> T:
        """Run one idempotent statement that writes."""
        ...

    def refuse_misplaced(self) -> None:
        """Raise what a unit that begins here would raise at once: for calls that hand their work to another task."""
        ...

    def refuse_other_loops(self) -> None:
        """Raise WrongEventLoop anywhere but in the event loop that the LivingWorld was opened in."""
        ...
