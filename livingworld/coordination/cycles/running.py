"""Running a cycle: one instance in the whole world, phase after phase."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, func, select, update

from livingworld.coordination.cycles import transitions
from livingworld.coordination.cycles.records import CycleRun, CycleStatus
from livingworld.coordination.cycles.rows import make_run
from livingworld.coordination.cycles.tables import cycle_runs, cycles
from livingworld.coordination.cycles.transitions import Holding
from livingworld.errors import Fenced, InvalidInput, InvalidNumber, InvalidType, LivingWorldError
from livingworld.identifiers import new_id
from livingworld.inputs import (
    MIN_TTL,
    check_duration,
    check_function,
    check_json,
    check_label,
    check_optional_text,
    storable_error_text,
)
from livingworld.observability import events, instruments
from livingworld.postgres.keyset import Page, check_limit, number_cursor, page_by
from livingworld.postgres.leases import Lease
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.read_only import read_only

#: The phases of a cycle that names none itself.
PHASES: Final = ("plan", "do", "check", "act")
_MOST_PHASES: Final = 100
#: So much is kept of the error that ended a run.
_MOST_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Cycle:
    """A running cycle, as a phase sees it."""

    name: str
    run_number: int
    #: Why the run was begun, or None.
    reason: str | None
    #: What the phases before returned, in this attempt and in those before.
    results: Mapping[str, Any]
    #: Set when the lease is lost, or may be: what this phase returns will be refused.
    lost: asyncio.Event = field(repr=False)
    _holding: Holding = field(repr=False)

    @property
    def token(self) -> int:
        """Rises with every owner of the cycle."""
        return self._holding.token

    async def check(self, tx: Transaction) -> None:
        """Prove in a writing transaction that this owner still has the cycle, until that ends; raises Fenced.

        It locks the cycle, which comes late in the order of locks.
        """
        await transitions.prove(tx, self._holding)


#: One phase: gets the running cycle and returns JSON.
Phase = Callable[[Cycle], Awaitable[Any]]


class Cycles:
    """The cycles of one world."""

    def __init__(self, services: Services) -> None:
        self._unit = services.unit
        self._world_id = services.world_id
        self._background = services.background
        self._tasks = services.tasks
        self._count = partial(services.metrics.add, instruments.LEASE_RENEWALS, 1, "cycle")

    async def run(
        self,
        name: str,
        phases: Mapping[str, Phase],
        *,
        reason: str | None = None,
        min_interval: timedelta = timedelta(0),
        ttl: timedelta = timedelta(seconds=30),
    ) -> CycleRun | None:
        """Run a cycle once, its phases in their order, and return the run; None: `min_interval` is not over yet.

        Each phase's result is stored with the step to the next. A run that was left unfinished, since its owner died or
        was cancelled, continues at the phase it had not finished, which is called again. A phase that raises ends the
        run as failed, and raises. Between phases a requested stop ends it as stopped. No transaction is open while a
        phase works. `reason` is kept with the run that this call begins; one that it continues has its own. Raises
        AlreadyRunning at once when another owner runs it, Fenced when another took it over meanwhile; then no later
        result of this one is stored.
        """
        checked, length = check_label("name", name), check_duration("ttl", ttl, minimum=MIN_TTL)
        check_duration("min_interval", min_interval)
        known = _check_phases(phases)
        asked_at, owner = asyncio.get_running_loop().time(), UUID(int=new_id().int)
        why = check_optional_text("reason", reason)
        begin = partial(transitions.begin, reason=why, ttl=length, min_interval=min_interval)
        begun = await self._unit.write_idempotent(begin, checked, owner, list(known))
        if begun is None:
            return None
        holding, run = begun
        lease = self._keep(holding, length, asked_at)
        try:
            return await self._work(holding, run, known, lease)
        finally:
            lease.end()
            await asyncio.shield(self._tasks.finish(self._leave(holding)))

    async def request_stop(self, name: str) -> bool:
        """Let a cycle that runs stop before its next phase; return whether one runs."""
        return await self._unit.write_single_idempotent(_request_stop, check_label("name", name))

    async def status(self, name: str) -> CycleStatus:
        """Return whether a cycle runs now, in which phase, and its last run; one statement, no lock.

        A cycle that never ran is not running and has no run.
        """
        return await self._unit.read(_status, check_label("name", name))

    async def history(self, name: str, *, after: str | None = None, limit: int = 50) -> Page[CycleRun]:
        """Return a page of a cycle's runs, the newest first; empty when it never ran."""
        before = None if after is None else number_cursor(after)
        return await self._unit.read(_history, check_label("name", name), before, check_limit(limit))

    async def _work(self, holding: Holding, run: CycleRun, phases: Mapping[str, Phase], lease: Lease) -> CycleRun:
        stopping = False
        for name in run.phases[run.phases_done :]:
            if stopping:
                return await self._end(holding, run, "stopped")
            if name not in phases:
                raise InvalidInput("phases", "lack the one at which the unfinished run stands")
            began = time.monotonic()
            try:
                results = read_only(dict(run.results))
                cycle = Cycle(holding.name, run.number, run.reason, results, lease.lost, holding)
                result = check_json(f"the result of {name}", await phases[name](cycle))
            except Fenced:
                raise
            except Exception as error:
                await self._fail(holding, run, f"{name}: {storable_error_text(error)}")
                raise
            seconds = time.monotonic() - began
            run, stopping = await self._unit.write(transitions.phase_done, holding, run, name, result, seconds)
        return await self._end(holding, run, "done")

    async def _end(self, holding: Holding, run: CycleRun, state: str, error: str | None = None) -> CycleRun:
        ended = await self._unit.write(transitions.end, holding, run, state, error)
        events.emit(events.CYCLE_ENDED, world_id=self._world_id, run_number=run.number, state=state)
        return ended

    async def _fail(self, holding: Holding, run: CycleRun, reason: str) -> None:
        """End a run as failed; when the end cannot be stored, the run continues later, and the failure still raises."""
        try:
            await self._end(holding, run, "failed", storable_error_text(reason, limit=_MOST_CHARACTERS))
        except LivingWorldError as error:
            fields = {"world_id": self._world_id, "run_number": run.number}
            events.emit(events.CYCLE_NOT_ENDED, **fields, error=type(error).__name__)

    def _keep(self, holding: Holding, ttl: timedelta, asked_at: float) -> Lease:
        renew = partial(self._background.write_single_idempotent, transitions.renew, holding, ttl)
        return Lease(renew, length=ttl, asked_at=asked_at, start=self._tasks.watch, count=self._count)

    async def _leave(self, holding: Holding) -> None:
        """Free the cycle if this owner has it; when the server is away the lease ends by itself."""
        try:
            await self._background.write_single_idempotent(transitions.leave, holding)
        except LivingWorldError as error:
            events.emit(events.LEASE_NOT_RELEASED, world_id=self._world_id, error=type(error).__name__)


async def _request_stop(tx: Transaction, name: str) -> bool:
    running = (cycles.c.world_id == tx.world_id, cycles.c.name == name, cycles.c.owner.is_not(None))
    return (await tx.execute(update(cycles).where(*running).values(stop_requested=True))).rowcount > 0


async def _status(tx: Transaction, name: str) -> CycleStatus:
    """Read the cycle and its last run in one statement, so that they belong together."""
    run = and_(
        cycle_runs.c.world_id == tx.world_id,
        cycle_runs.c.name == cycles.c.name,
        cycle_runs.c.run_number == cycles.c.last_run_number,
    )
    running = and_(cycles.c.owner.is_not(None), cycles.c.expires_at > func.clock_timestamp())
    columns = (running.label("running"), cycles.c.stop_requested, *cycle_runs.c)
    statement = select(*columns).join_from(cycles, cycle_runs, run)
    own = (cycles.c.world_id == tx.world_id, cycles.c.name == name)
    row = (await tx.execute(statement.where(*own))).one_or_none()
    if row is None:
        return CycleStatus(cycle=name, running=False, run=None, stop_requested=False)
    stop = row.running and row.stop_requested
    return CycleStatus(cycle=name, running=row.running, run=make_run(row), stop_requested=stop)


async def _history(tx: Transaction, name: str, before: int | None, limit: int) -> Page[CycleRun]:
    number = cycle_runs.c.run_number
    statement = select(cycle_runs).where(cycle_runs.c.world_id == tx.world_id, cycle_runs.c.name == name)
    if before is not None:
        statement = statement.where(number < before)
    rows = await tx.execute(statement.order_by(number.desc()).limit(limit + 1))
    return page_by([make_run(row) for row in rows], limit, lambda run: run.number)


def _check_phases(phases: object) -> Mapping[str, Phase]:
    if not isinstance(phases, Mapping):
        raise InvalidType("phases", f"must be a mapping of names to functions, not {type(phases).__name__}")
    if not 1 <= len(phases) <= _MOST_PHASES:
        raise InvalidNumber("phases", f"has {len(phases)} names, not 1 to {_MOST_PHASES}")
    for name, phase in phases.items():
        check_label("phases", name)
        check_function(f"phases[{name}]", phase)
    return phases
