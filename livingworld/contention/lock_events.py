"""The events about locks: what they say of sessions, ids and names of statements only; never a value of a statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from livingworld.contention.records import LockSession
from livingworld.observability import events
from livingworld.postgres.transactions.contention import story_of
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.lock_watch import RowWait


def wait_is_long(waiter: LockSession, holder: LockSession | None, calls: int) -> None:
    """Log a session that waits for long, and the session that it waits for."""
    lock = waiter.waits_for
    events.emit(
        events.LOCK_WAIT_LONG,
        kind=None if lock is None else lock.kind,
        table=None if lock is None else lock.table,
        world_id=None if lock is None else lock.world_id,
        story_id=None if lock is None else lock.story_id,
        seconds=_seconds(waiter.waited),
        calls=calls,
        waiter=waiter.pid,
        waiter_statement=waiter.statement,
        **_holder(holder),
    )


def call_waits_long(wait: RowWait, seconds: float) -> None:
    """Log calls that wait in this process for a row which none of its sessions waits for at this moment."""
    kind, story = wait.row[0], story_of(wait.row)
    world, story_id = story or (None, None)
    events.emit(
        events.LOCK_WAIT_LONG,
        kind=kind.name.lower() if isinstance(kind, LockKind) else None,
        world_id=world,
        story_id=story_id,
        seconds=round(seconds, 3),
        calls=wait.members,
    )


def hold_is_long(holder: LockSession, waiting: Sequence[LockSession], kinds: Iterable[LockKind]) -> None:
    """Log a session that has its locks for long, and the session that waits longest for it."""
    first = waiting[0] if waiting else None
    events.emit(
        events.LOCK_HELD_LONG,
        kinds=" ".join(sorted(kind.name.lower() for kind in kinds)),
        tables=" ".join(holder.tables),
        world_id=holder.world_id or (first.waits_for.world_id if first and first.waits_for else None),
        seconds=_seconds(holder.open_for),
        holder=holder.pid,
        holder_state=holder.state,
        holder_statement=holder.statement,
        waiters=len(waiting),
        waiter=None if first is None else first.pid,
        waiter_statement=None if first is None else first.statement,
    )


def deadlock_is_ahead(reason: str, group: Sequence[LockSession]) -> None:
    """Log sessions that wait for each other, or one that waits out of order with those that it holds up."""
    locks = [session.waits_for for session in group if session.waits_for is not None]
    events.emit(
        events.DEADLOCK_AHEAD,
        reason=reason,
        kinds=" ".join(lock.kind or lock.type for lock in locks),
        world_id=next((lock.world_id for lock in locks if lock.world_id), None),
        story_id=next((lock.story_id for lock in locks if lock.story_id), None),
        sessions=" ".join(str(session.pid) for session in group),
        statements="; ".join(session.statement or "?" for session in group),
    )


def _holder(holder: LockSession | None) -> dict[str, object]:
    if holder is None:
        return {}
    return {
        "holder": holder.pid,
        "holder_state": holder.state,
        "holder_statement": holder.statement,
        "holder_seconds": _seconds(holder.open_for),
    }


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else round(duration.total_seconds(), 3)
