"""From one phase of a cycle to the next: each is one transaction that holds the cycle's row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_keep

from livingworld.coordination.cycles.records import CycleRun
from livingworld.coordination.cycles.rows import make_run
from livingworld.coordination.cycles.tables import cycle_runs, cycles
from livingworld.errors import AlreadyRunning, Fenced
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.postgres.locks import lock_row
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction

_RENEW: Final = """
    UPDATE livingworld.cycles AS c SET expires_at = now() + $5::interval
    WHERE c.world_id = $1 AND c.name = $2 AND c.token = $3 AND c.owner = $4 RETURNING true
"""
_FREE: Final = {"owner": None, "expires_at": None}


@dataclass(frozen=True, slots=True)
class Holding:
    """The proof that a cycle may be worked on."""

    name: str
    owner: UUID
    token: int


async def begin(
    tx: Transaction,
    name: str,
    owner: UUID,
    phases: Sequence[str],
    *,
    reason: str | None,
    ttl: timedelta,
    min_interval: timedelta,
) -> tuple[Holding, CycleRun] | None:
    """Take a cycle and return its run: the one that was left unfinished, or a new one; None: it is too early for one.

    Raises AlreadyRunning when another owner runs it.
    """
    key = {"world_id": tx.world_id, "name": name}
    await tx.execute(insert_or_keep(cycles).values(**key).on_conflict_do_nothing())
    row = await lock_row(tx, LockKind.CYCLE, cycles, key)
    now = await tx.scalar(select(func.clock_timestamp()))
    if row is None or (row.owner is not None and row.owner != owner and row.expires_at > now):
        raise AlreadyRunning(cycle=name)
    holding = Holding(name, owner, row.token + 1)
    newest = select(cycle_runs).where(*_of(tx, name, cycle_runs), cycle_runs.c.run_number == row.last_run_number)
    last = (await tx.execute(newest)).one_or_none()
    if last is not None and last.finished_at is not None and last.finished_at + min_interval > now:
        return None
    resumed = last is not None and last.state == "running"
    taken = {"token": holding.token, "owner": owner, "expires_at": now + ttl, "stop_requested": False}
    if resumed:
        taken["stop_requested"] = row.stop_requested
    run = await (
        _resume(tx, holding, last) if resumed else _start(tx, holding, row.last_run_number + 1, phases, reason)
    )
    await _change(tx, holding, **taken, last_run_number=run.run_number)
    return holding, make_run(run)


async def renew(tx: Transaction, holding: Holding, ttl: timedelta) -> bool:
    """Lengthen the holding by one statement; False when it is over."""
    row = await tx.execute_text(_RENEW, (tx.world_id, holding.name, holding.token, holding.owner, ttl))
    return row.first() is not None


async def prove(tx: Transaction, holding: Holding) -> Row[Any]:
    """Lock the cycle and return its row; raises Fenced when another owner has it or had it since."""
    row = await lock_row(tx, LockKind.CYCLE, cycles, {"world_id": tx.world_id, "name": holding.name})
    if row is None or row.token != holding.token or row.owner is None or row.owner.int != holding.owner.int:
        raise Fenced(cycle=holding.name, token=holding.token)
    return row


async def phase_done(
    tx: Transaction, holding: Holding, run: CycleRun, phase: str, result: object, seconds: float
) -> tuple[CycleRun, bool]:
    """Store what a phase brought with the step to the next one; return the run, and whether it is to stop."""
    row = await prove(tx, holding)
    results = cycle_runs.c.results.op("||")({phase: {"result": result, "seconds": round(seconds, 6)}})
    changed = await _change_run(tx, holding, run, results=results, phases_done=cycle_runs.c.phases_done + 1)
    return changed, row.stop_requested


async def end(tx: Transaction, holding: Holding, run: CycleRun, state: str, error: str | None = None) -> CycleRun:
    """End a run and free the cycle."""
    await prove(tx, holding)
    ended = await _change_run(tx, holding, run, state=state, error=error, finished_at=func.now())
    await _change(tx, holding, **_FREE)
    details = {"name": holding.name, "run_number": run.number, "state": state}
    publish_at_commit(tx, tx.world_id, LiveKind.CYCLE_ENDED, **details)
    return ended


async def leave(tx: Transaction, holding: Holding) -> None:
    """Free the cycle if it is still this holding's, and leave its run to the next owner."""
    own = (cycles.c.token == holding.token, cycles.c.owner == holding.owner)
    await tx.execute(update(cycles).where(*_of(tx, holding.name, cycles), *own).values(**_FREE))


async def _start(tx: Transaction, holding: Holding, number: int, phases: Sequence[str], reason: str | None) -> Row[Any]:
    key = {"world_id": tx.world_id, "name": holding.name, "run_number": number}
    statement = insert(cycle_runs).values(**key, phases=list(phases), reason=reason).returning(cycle_runs)
    return (await tx.execute(statement)).one()


async def _resume(tx: Transaction, holding: Holding, last: Any) -> Row[Any]:  # noqa: ANN401 - a row
    own = (*_of(tx, holding.name, cycle_runs), cycle_runs.c.run_number == last.run_number)
    statement = update(cycle_runs).where(*own).values(attempts=cycle_runs.c.attempts + 1).returning(cycle_runs)
    return (await tx.execute(statement)).one()


async def _change(tx: Transaction, holding: Holding, **values: Any) -> None:  # noqa: ANN401 - column values
    await tx.execute(update(cycles).where(*_of(tx, holding.name, cycles)).values(**values))


async def _change_run(tx: Transaction, holding: Holding, run: CycleRun, **values: Any) -> CycleRun:  # noqa: ANN401
    own = (*_of(tx, holding.name, cycle_runs), cycle_runs.c.run_number == run.number)
    return make_run((await tx.execute(update(cycle_runs).where(*own).values(**values).returning(cycle_runs))).one())


def _of(tx: Transaction, name: str, table: Any) -> tuple[Any, ...]:  # noqa: ANN401 - Table's columns are untyped
    return (table.c.world_id == tx.world_id, table.c.name == name)
