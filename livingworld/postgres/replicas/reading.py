"""Reads that say how new they have to be: from the standby when it is so in time, else from the primary."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TYPE_CHECKING, Final
from uuid import UUID

from livingworld.deadlines import call_end, one_call
from livingworld.errors import (
    AlreadyInTransaction,
    Closed,
    DeadlockDetected,
    LivingWorldError,
    Overloaded,
    PoolTimeout,
    SerializationFailure,
    Unavailable,
    WrongEventLoop,
)
from livingworld.observability import instruments
from livingworld.observability.metrics import Metrics
from livingworld.postgres.replicas.identity import Primary
from livingworld.postgres.replicas.proof import Proof
from livingworld.postgres.replicas.rest import Rest
from livingworld.postgres.replicas.standby import Standby
from livingworld.postgres.replicas.unused import NotReplayed, Reason, StandbyUnused
from livingworld.postgres.replicas.wanted import Wanted
from livingworld.postgres.transactions.retry import RolledBack
from livingworld.postgres.transactions.transaction import T, Work
from livingworld.postgres.transactions.unit_meter import REFUSALS

if TYPE_CHECKING:
    from livingworld.settings.settings import Settings

#: Between two looks at a standby that is behind, in seconds; each is twice as long as the one before.
_FIRST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.02
#: The primary says the same.
_NOT_THE_STANDBYS: Final = (AlreadyInTransaction, Closed, WrongEventLoop)


class ReplicaReads:
    """Reads of one LivingWorld that may come from its standby."""

    def __init__(self, settings: Settings, standby: Standby, primary: Primary, rest: Rest, metrics: Metrics) -> None:
        self.standby = standby
        self._settings, self._metrics = settings, metrics
        self._primary, self._rest = primary, rest

    async def read(self, work: Work[T], world_id: UUID, wanted: Wanted, from_primary: Callable[[], Awaitable[T]]) -> T:
        """Return what a read gives on the standby, or else, whatever is wrong there, on the primary."""
        self.standby.refuse_misplaced()
        with one_call(self._settings.call_timeout):
            try:
                result = await self._from_standby(work, world_id, wanted)
            except StandbyUnused as unused:
                reason = self._passed(unused)
            else:
                self._rest.end()
                self._metrics.add(instruments.REPLICA_READS, 1, "standby", "")
                return result
            self._metrics.add(instruments.REPLICA_READS, 1, "primary", reason)
            return await from_primary()

    def _passed(self, unused: StandbyUnused) -> str:
        """Take notice of why the standby has no answer."""
        if unused.rests:
            self._rest.begin(unused)
        elif unused.reason not in {Reason.RESTING, Reason.BUSY}:
            self._rest.end()  # it answers
        return unused.reason.value

    async def _from_standby(self, work: Work[T], world_id: UUID, wanted: Wanted) -> T:
        """Ask the standby until it is new enough, or for as long as a read may wait for that."""
        if not self._rest.admits():
            raise StandbyUnused(Reason.RESTING)
        loop = asyncio.get_running_loop()
        now = loop.time()
        # One that is silent must leave the primary time to answer.
        end = now + (call_end(self._settings.call_timeout) - now) / 2
        until = min(end, now + self._settings.replica_wait.total_seconds())
        began = perf_counter()
        proof = Proof(wanted, self._primary, self._settings.replica_pause)
        pause = _FIRST_PAUSE
        while True:
            try:
                result = await self._ask(work, world_id, proof, end)
            except NotReplayed:
                if loop.time() + pause > until:
                    self._metrics.record(instruments.REPLICA_WAIT, perf_counter() - began, "gave up")
                    raise StandbyUnused(Reason.BEHIND) from None
            else:
                if pause > _FIRST_PAUSE:
                    self._metrics.record(instruments.REPLICA_WAIT, perf_counter() - began, "went on")
                return result
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _ask(self, work: Work[T], world_id: UUID, proof: Proof, end: float) -> T:
        try:
            async with asyncio.timeout_at(end):
                return await self.standby.ask(work, world_id, proof)
        except RolledBack as signal:
            error: BaseException = signal.error
        except _NOT_THE_STANDBYS:
            raise
        except LivingWorldError as refusal:
            error = refusal
        except TimeoutError as late:
            error = late
        raise _unused(error)


def _unused(error: BaseException) -> StandbyUnused:
    """Return what an error on the standby means: it says nothing about what the primary has."""
    if isinstance(error, PoolTimeout | Overloaded):
        return StandbyUnused(Reason.BUSY)
    if isinstance(error, TimeoutError):
        return StandbyUnused(Reason.SLOW, rests=True)
    if isinstance(error, SerializationFailure | DeadlockDetected):
        return StandbyUnused(Reason.CONFLICT, rests=True, error=error)
    if isinstance(error, Unavailable):
        return StandbyUnused(Reason.UNAVAILABLE, rests=True, error=error)
    return StandbyUnused(Reason.ERROR, rests=not isinstance(error, REFUSALS), error=error)
