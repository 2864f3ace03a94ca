"""A lock report for people: a line for each chain, its root first, and the turns that are held."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from livingworld.contention.records import HeldTurn, LockChain, LockReport, LockSession, WaitedLock

#: More waiters of one chain are counted, not shown.
_SHOWN: Final = 8


def lock_lines(report: LockReport) -> Iterator[str]:
    """Yield the lines of a report: deadlocks, chains, open transactions that nobody waits for, turns."""
    for cycle in report.cycles:
        yield "DEADLOCK: " + " <-> ".join(_waiter(session) for session in cycle)
    for chain in report.chains:
        yield _chain(chain)
    in_chains = {session.pid for chain in report.chains for session in (*chain.waiting, chain.root) if session}
    in_chains |= {session.pid for cycle in report.cycles for session in cycle}
    for session in report.sessions:
        if session.pid not in in_chains:
            yield f"open: {_holder(session)}"
    for turn in report.turns:
        yield _turn(turn)
    if report.missing is not None:
        yield f"missing: {report.missing}"
    if not (report.sessions or report.turns):
        yield "nobody holds a lock or a turn"


def _chain(chain: LockChain) -> str:
    lock = chain.waiting[0].waits_for
    root = "a session that is gone, or a prepared transaction" if chain.root is None else _holder(chain.root)
    waiting = ", ".join(_waiter(session) for session in chain.waiting[:_SHOWN])
    more = f", and {len(chain.waiting) - _SHOWN} more" if len(chain.waiting) > _SHOWN else ""
    what = "a lock" if lock is None else _lock(lock)
    return f"{what}: {root} <- {waiting}{more}"


def _lock(lock: WaitedLock) -> str:
    if lock.story_id is not None:
        name = "" if lock.kind == "story" else f" ({lock.kind or lock.table})"
        return f"story {lock.story_id}{name} of world {lock.world_id}"
    key = " ".join(f"{name}={value}" for name, value in lock.key.items() if name != "world_id")
    world = "" if lock.world_id is None else f" of world {lock.world_id}"
    return f"{lock.kind or lock.table or lock.type} {key}".rstrip() + world


def _holder(session: LockSession) -> str:
    since = "" if session.open_for is None else f", open {_seconds(session.open_for)}"
    world = "" if session.world_id is None else f", world {session.world_id}"
    return f"{session.pid} {session.state or 'not shown'}{since}{world} [{session.statement or '?'}]"


def _waiter(session: LockSession) -> str:
    waited = "" if session.waited is None else f" waits {_seconds(session.waited)}"
    lock = session.waits_for
    also = "" if lock is None or lock.table is None else f" for {lock.table}"
    return f"{session.pid}{waited}{also} [{session.statement or '?'}]"


def _turn(turn: HeldTurn) -> str:
    player = "" if turn.player is None else f", player {turn.player!r}"
    line = f", in line: {', '.join(map(repr, turn.line))}" if turn.line else ""
    return (
        f"turn {turn.request_key!r} of story {turn.story_id}, branch {turn.branch}: held {_seconds(turn.held_for)},"
        f" until {turn.until:%H:%M:%S}{player}{line}"
    )


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():.1f} s"
