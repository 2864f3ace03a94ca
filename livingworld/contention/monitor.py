"""Looks at the locks of the database when something takes long, and logs who waits for whom; it ends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Final

from livingworld.background.tasks import BackgroundTasks
from livingworld.contention import lock_events
from livingworld.contention.chains import behind
from livingworld.contention.lock_report import cycles_of, read_sessions
from livingworld.contention.order_violations import out_of_order
from livingworld.contention.records import LockSession
from livingworld.errors import LivingWorldError
from livingworld.observability import events
from livingworld.postgres.transactions.database import Database
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.lock_watch import LockWatch

if TYPE_CHECKING:
    from livingworld.settings.settings import Settings

#: So many things that were logged are remembered, so that each is logged once.
_REMEMBERED: Final = 1_000
#: The sessions of this LivingWorld by process id, with the kinds of lock that they hold; None: every session counts.
Own = Mapping[int, Collection[LockKind]] | None


class LockMonitor:
    """The looks of one LivingWorld at the locks of its database."""

    def __init__(self, background: Database, watch: LockWatch, tasks: BackgroundTasks, settings: Settings) -> None:
        self._background = background
        self._watch = watch
        self._tasks = tasks
        self._waits_after = settings.report_lock_waits_after.total_seconds()
        self._holds_after = settings.report_lock_holds_after.total_seconds()
        #: A pooler hands out process ids of its own, so there every session counts as one of this process.
        self._knows_pids = not settings.behind_pooler
        self._logged: dict[object, None] = {}
        self._looking: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Start a look at the sessions of this LivingWorld, unless one is under way; never blocks or raises."""
        if self._looking is None or self._looking.done():
            self._looking = self._tasks.watch(self._look())

    async def look_at_all(self) -> int:
        """Look at every session of the database, and return 0: there is nothing to do at once."""
        self._report(await self._background.run(read_sessions, repeatable=True), None)
        return 0

    async def _look(self) -> None:
        try:
            sessions = await self._background.run(read_sessions, repeatable=True)
        except LivingWorldError as error:
            events.emit(events.LOCKS_NOT_SEEN, error=type(error).__name__)
        else:
            self._report(sessions, self._own() if self._knows_pids else None)
            self._report_calls(sessions)

    def _own(self) -> dict[int, Collection[LockKind]]:
        return {pid: tx.lock_order.since for tx in self._watch.open_transactions() if (pid := tx.pid()) is not None}

    def _report(self, sessions: Sequence[LockSession], own: Own) -> None:
        by_pid = {session.pid: session for session in sessions}
        blockers = {session.pid: session.blocked_by for session in sessions if session.blocked_by}
        self._watch.statements = {pid: by_pid[pid].statement for pid in {*blockers, *_all(blockers)} & by_pid.keys()}
        for session in sessions:
            waiting = sorted((by_pid[pid] for pid in behind(blockers, session.pid)), key=_waited, reverse=True)
            self._report_wait(session, by_pid, own)
            self._report_hold(session, waiting, own)
        self._report_deadlocks(sessions, own)

    def _report_wait(self, session: LockSession, by_pid: Mapping[int, LockSession], own: Own) -> None:
        if (own is not None and session.pid not in own) or _waited(session) < self._waits_after:
            return
        if self._is_new(("wait", session.pid, session.waits_since)):
            lock_events.wait_is_long(session, holder_of(session, by_pid), self._calls(session))

    def _report_hold(self, session: LockSession, waiting: Sequence[LockSession], own: Own) -> None:
        if session.open_for is None or session.open_for.total_seconds() < self._holds_after:
            return
        concerns_us = own is None or session.pid in own or any(each.pid in own for each in waiting)
        kinds = (own or {}).get(session.pid, ())
        if (
            concerns_us
            and (kinds or waiting or session.tables)
            and self._is_new(("hold", session.pid, session.open_since))
        ):
            lock_events.hold_is_long(session, waiting, kinds)

    def _report_deadlocks(self, sessions: Sequence[LockSession], own: Own) -> None:
        groups: list[tuple[str, tuple[LockSession, ...]]] = [("cycle", group) for group in cycles_of(sessions)]
        deadlocked = {session.pid for _, group in groups for session in group}
        for session in (each for each in out_of_order(sessions) if each.pid not in deadlocked):
            behind_it = tuple(each for each in sessions if session.pid in each.blocked_by)
            groups.append(("order", (session, *behind_it)))
        for reason, group in groups:
            concerns_us = own is None or any(session.pid in own for session in group)
            key = (reason, *sorted((session.pid, str(session.open_since)) for session in group))
            if concerns_us and self._is_new(key):
                self._watch.contention.deadlocked(reason)
                lock_events.deadlock_is_ahead(reason, group)

    def _report_calls(self, sessions: Iterable[LockSession]) -> None:
        """Log the calls that wait in the process, for rows that no session of this process waits for just now."""
        seen = {_row_of(session) for session in sessions}
        now = perf_counter()
        for wait in self._watch.row_waits():
            is_seen = tuple(map(str, wait.row)) in seen
            if now - wait.since >= self._waits_after and not is_seen and self._is_new(("call", id(wait), wait.since)):
                lock_events.call_waits_long(wait, now - wait.since)

    def _calls(self, session: LockSession) -> int:
        """Return how many calls of this process wait for what a session waits for."""
        row = _row_of(session)
        return next((wait.members for wait in self._watch.row_waits() if tuple(map(str, wait.row)) == row), 1)

    def _is_new(self, key: object) -> bool:
        if key in self._logged:
            return False
        self._logged[key] = None
        if len(self._logged) > _REMEMBERED:
            del self._logged[next(iter(self._logged))]
        return True


def _row_of(session: LockSession) -> tuple[str, ...] | None:
    """Return the story that a session waits for, as calls of a process name it."""
    lock = session.waits_for
    if lock is None or lock.kind != "story" or lock.story_id is None:
        return None
    return tuple(map(str, (LockKind.STORY, lock.world_id, lock.story_id)))


def holder_of(waiter: LockSession, by_pid: Mapping[int, LockSession]) -> LockSession | None:
    """Return who holds up a session in the end: the first in its chain, or the last one that is known.

    In a cycle of waits it is the one before the session itself.
    """
    seen = {waiter.pid: waiter}
    ahead = list(waiter.blocked_by)
    while ahead:
        pid = ahead.pop(0)
        if pid in by_pid and pid not in seen:
            seen[pid] = by_pid[pid]
            ahead = list(by_pid[pid].blocked_by)
    last = next(reversed(seen.values()))
    return None if last is waiter else last


def _waited(session: LockSession) -> float:
    return 0.0 if session.waited is None else session.waited.total_seconds()


def _all(blockers: Mapping[int, Sequence[int]]) -> Iterator[int]:
    for ahead in blockers.values():
        yield from ahead
