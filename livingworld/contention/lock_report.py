"""Reads who holds what and who waits for whom, from PostgreSQL's own tables of locks and sessions."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import Any, Final

from sqlalchemy import text

from livingworld.contention.chains import behind, cycles, roots
from livingworld.contention.locked_rows import Key, Place, rows_at
from livingworld.contention.records import HeldTurn, LockChain, LockReport, LockSession
from livingworld.contention.rows import make_session, make_turn, waited_place
from livingworld.contention.seen_worlds import seen_worlds
from livingworld.postgres.announcement import announced
from livingworld.postgres.transactions.transaction import Transaction

_SESSIONS: Final = text(files(__package__).joinpath("sql/sessions.sql").read_text())
_TURNS: Final = text(files(__package__).joinpath("sql/held_turns.sql").read_text())
_HIDDEN: Final = text("""
    SELECT current_user::text AS role, count(*) FILTER (WHERE a.query = '<insufficient privilege>') AS hidden
    FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
""")
#: So many held turns are shown.
_MOST_TURNS: Final = 1_000


async def read_locks(tx: Transaction) -> LockReport:
    """Return who holds what and who waits for whom, in the whole database; locks nothing."""
    sessions = await read_sessions(tx)
    turns: list[HeldTurn] = []
    async for _ in seen_worlds(tx):
        turns += map(make_turn, await tx.execute(_TURNS, {"most": _MOST_TURNS - len(turns)}))
    hidden = (await tx.execute(_HIDDEN)).one()
    return LockReport(
        sessions=sessions,
        turns=tuple(sorted(turns, key=lambda turn: turn.held_for, reverse=True)),
        chains=tuple(chains_of(sessions)),
        cycles=cycles_of(sessions),
        missing=_missing(hidden.role, hidden.hidden),
    )


async def read_sessions(tx: Transaction) -> tuple[LockSession, ...]:
    """Return the sessions that have a transaction open, wait, or hold others up, and the rows that they wait for."""
    rows = (await tx.execute(_SESSIONS)).all()
    places: list[Place] = [place for row in rows if (place := waited_place(row)) is not None]
    keys: dict[Place, Key] = {}
    if places:
        async for _ in seen_worlds(
            tx, {said.world_id for row in rows if (said := announced(row.application_name or ""))}
        ):
            keys |= await rows_at(tx, places)
    return tuple(make_session(row, keys) for row in rows)


def chains_of(sessions: Iterable[LockSession]) -> Iterable[LockChain]:
    """Return a chain for each session that holds others up and waits for none, the longest wait first."""
    by_pid, blockers = _graph(sessions)
    found = []
    for root in roots(blockers):
        waiting = sorted((by_pid[pid] for pid in behind(blockers, root)), key=_waited, reverse=True)
        found.append(LockChain(root=by_pid.get(root), waiting=tuple(waiting)))
    return sorted(found, key=lambda chain: _waited(chain.waiting[0]), reverse=True)


def cycles_of(sessions: Iterable[LockSession]) -> tuple[tuple[LockSession, ...], ...]:
    """Return the groups of sessions that wait for each other."""
    by_pid, blockers = _graph(sessions)
    return tuple(tuple(by_pid[pid] for pid in group) for group in cycles(blockers))


def _graph(sessions: Iterable[LockSession]) -> tuple[dict[int, LockSession], dict[int, tuple[int, ...]]]:
    by_pid = {session.pid: session for session in sessions}
    return by_pid, {pid: session.blocked_by for pid, session in by_pid.items() if session.waits_for is not None}


def _waited(session: LockSession) -> float:
    return 0.0 if session.waited is None else session.waited.total_seconds()


def _missing(role: str, hidden: Any) -> str | None:  # noqa: ANN401 - a number
    if not hidden:
        return None
    return (
        f"{hidden} sessions are of other roles: what they run, and for how long, is not shown."
        f' GRANT pg_read_all_stats TO "{role}" shows it.'
    )
