"""Running a cycle: one instance in the whole world, phase after phase."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, update

from livingworld.coordination.cycles import transitions
from livingworld.coordination.cycles.records import CycleRun, make_run
from livingworld.coordination.cycles.tables import cycle_runs, cycles
from livingworld.coordination.cycles.transitions import Holding
from livingworld.errors import Fenced, InvalidInput, InvalidType, LivingWorldError
from livingworld.identifiers import new_id
from livingworld.inputs import MIN_TTL, check_duration, check_function, check_json, check_label
from livingworld.observability import events
from livingworld.postgres.keyset import Page, check_limit, number_cursor
from livingworld.postgres.leases import Lease
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork

#: The phases of a cycle that names none itself.
PHASES: Final = ("plan", "do", "check", "act")
_MOST_PHASES: Final = 100
#: So much is kept of the error that ended a run.
_MOST_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Cycle:
    """A run in hand, as a phase sees it."""

    name: str
    run_number: int
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
        """Prove in a writing transaction that the cycle is still ours, until that ends; raises Fenced.

        It locks the cycle, which comes late in the order of locks.
        """
        await transitions.prove(tx, self._holding)


#: One phase: gets the run in hand and returns JSON.
Phase = Callable[[Cycle], Awaitable[Any]]


class Cycles:
    """The cycles of one world."""

    def __init__(self, unit: UnitOfWork, world_id: UUID, services: Services) -> None:
        self._unit = unit
        self._world_id = world_id
        self._background = services.background
        self._tasks = services.tasks
        self._notifications = services.notifications

    async def run(
        self,
        name: str,
        phases: Mapping[str, Phase],
        *,
        min_interval: timedelta = timedelta(0),
        ttl: timedelta = timedelta(seconds=30),
    ) -> CycleRun | None:
        """Run a cycle once, its phases in their order, and return the run; None: `min_interval` is not over yet.

        Each phase's result is stored with the step to the next. A run that was left unfinished, since its owner died or
        was cancelled, is gone on with at the phase it had not finished, which is called again. A phase that raises ends
        the run as failed, and raises. Between phases a stop that was asked for ends it as stopped. No transaction is
        open while a phase works. Raises AlreadyRunning at once when somebody else runs it, Fenced when somebody took it
        over meanwhile; then nothing that this one brought since is stored.
        """
        checked, length = check_label("name", name), check_duration("ttl", ttl, minimum=MIN_TTL)
        check_duration("min_interval", min_interval)
        known = _check_phases(phases)
        asked_at, owner = asyncio.get_running_loop().time(), UUID(int=new_id().int)
        options = {"ttl": length, "min_interval": min_interval}
        begun = await self._unit.run(
            lambda tx: transitions.begin(tx, self._world_id, checked, owner, list(known), **options), repeatable=True
        )
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
        key = check_label("name", name)
        own = (cycles.c.world_id == self._world_id, cycles.c.name == key, cycles.c.owner.is_not(None))

        async def work(tx: Transaction) -> bool:
            return (await tx.execute(update(cycles).where(*own).values(stop_requested=True))).rowcount > 0

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def history(self, name: str, *, after: str | None = None, limit: int = 50) -> Page[CycleRun]:
        """Return a page of a cycle's runs, the newest first; empty when it never ran."""
        key, most = check_label("name", name), check_limit(limit)
        own = (cycle_runs.c.world_id == self._world_id, cycle_runs.c.name == key)
        statement = select(cycle_runs).where(*own).order_by(cycle_runs.c.run_number.desc()).limit(most + 1)
        if after is not None:
            statement = statement.where(cycle_runs.c.run_number < number_cursor(after))

        async def work(tx: Transaction) -> Page[CycleRun]:
            found = [make_run(row) for row in await tx.execute(statement)]
            shown = tuple(found[:most])
            return Page(shown, str(shown[-1].number) if len(found) > most else None)

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def _work(self, holding: Holding, run: CycleRun, phases: Mapping[str, Phase], lease: Lease) -> CycleRun:
        stopping = False
        for name in run.phases[run.phases_done :]:
            if stopping:
                return await self._end(holding, run, "stopped")
            if name not in phases:
                raise InvalidInput("phases", "lack the one at which the unfinished run stands")
            began = time.monotonic()
            try:
                hand = Cycle(holding.name, run.number, MappingProxyType(dict(run.results)), lease.lost, holding)
                result = check_json(f"the result of {name}", await phases[name](hand))
            except Fenced:
                raise
            except Exception as error:
                await self._fail(holding, run, f"{name}: {type(error).__name__}: {error}")
                raise
            brought = (holding, run, name, result, time.monotonic() - began)
            run, stopping = await self._unit.run(partial(_phase_done, brought))
        return await self._end(holding, run, "done")

    async def _end(self, holding: Holding, run: CycleRun, state: str, error: str | None = None) -> CycleRun:
        ended = await self._unit.run(lambda tx: transitions.end(tx, holding, run, state, error))
        events.emit(events.CYCLE_ENDED, world_id=self._world_id, run_number=run.number, state=state)
        return ended

    async def _fail(self, holding: Holding, run: CycleRun, told: str) -> None:
        """End a run as failed; one whose end cannot be stored is gone on with, and hides no reason why it failed."""
        text = told.replace("\x00", "").encode(errors="replace").decode()[:_MOST_CHARACTERS]
        try:
            await self._end(holding, run, "failed", text)
        except LivingWorldError as error:
            fields = {"world_id": self._world_id, "run_number": run.number}
            events.emit(events.CYCLE_NOT_ENDED, **fields, error=type(error).__name__)

    def _keep(self, holding: Holding, ttl: timedelta, asked_at: float) -> Lease:
        async def renew() -> bool:
            return await self._background.run(
                lambda tx: transitions.renew(tx, holding, ttl), repeatable=True, single_statement=True
            )

        topic = f"cycle:{self._world_id}:{holding.name}"
        return Lease(
            renew,
            length=ttl,
            first_look=ttl,
            look_every=ttl,
            asked_at=asked_at,
            subscription=lambda: self._notifications.subscribe(topic),
            start=self._tasks.watch,
        )

    async def _leave(self, holding: Holding) -> None:
        """Free the cycle if it is ours; when the server is away the lease ends by itself."""
        try:
            await self._background.run(
                lambda tx: transitions.leave(tx, holding), repeatable=True, single_statement=True
            )
        except LivingWorldError as error:
            events.emit(events.LEASE_NOT_RELEASED, world_id=self._world_id, error=type(error).__name__)


async def _phase_done(brought: tuple[Holding, CycleRun, str, object, float], tx: Transaction) -> tuple[CycleRun, bool]:
    return await transitions.phase_done(tx, *brought)


def _check_phases(phases: object) -> Mapping[str, Phase]:
    if not isinstance(phases, Mapping) or not 1 <= len(phases) <= _MOST_PHASES:
        raise InvalidType("phases", f"must be a mapping of 1 to {_MOST_PHASES} names to functions")
    for name, phase in phases.items():
        check_label("phases", name)
        check_function(f"phases[{name}]", phase)
    return phases
