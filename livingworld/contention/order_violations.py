"""Waits that the declared order of locks forbids: two of them can become a deadlock. Pure, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from livingworld.contention.records import LockSession
from livingworld.postgres.transactions.lock_order import LockKind

_KINDS: Final = {kind.name.lower(): kind for kind in LockKind}


def out_of_order(sessions: Iterable[LockSession]) -> list[LockSession]:
    """Return the sessions that wait for a kind of lock while they hold up another session at a later kind.

    What a session holds is known where another one waits for it; within a kind the keys of rows are compared.
    """
    by_pid = {session.pid: session for session in sessions}
    return [session for session in by_pid.values() if _is_out_of_order(session, by_pid.values())]


def _is_out_of_order(session: LockSession, sessions: Iterable[LockSession]) -> bool:
    asked = _rank(session)
    if asked is None:
        return False
    held = [_rank(other) for other in sessions if session.pid in other.blocked_by and other.pid != session.pid]
    return any(rank is not None and rank > asked for rank in held)


def _rank(session: LockSession) -> tuple[int, tuple[str, ...]] | None:
    """Return where the lock that a session waits for stands in the declared order, or None where that is not known."""
    lock = session.waits_for
    if lock is None or lock.kind is None or not lock.key or lock.table is None:
        return None
    if lock.kind == "story":  # its rows below are covered by its own
        return LockKind.STORY, (str(lock.world_id), str(lock.story_id))
    return _KINDS[lock.kind], tuple(str(value) for value in lock.key.values())
