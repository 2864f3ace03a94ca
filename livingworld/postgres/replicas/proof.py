"""Proves on a connection to a standby that what is read there next is new enough.

The proof is a statement of its own, before the one that reads: one statement sees a snapshot that is older than what a
function in it says about the log. What a connection has shown once holds as long as the connection: a standby never
goes back, and one that starts again ends its connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from livingworld.postgres.replicas.identity import OF_STANDBY, Identity, Primary
from livingworld.postgres.replicas.unused import NotReplayed, Reason, StandbyUnused
from livingworld.postgres.replicas.wanted import Position, Wanted

#: Sends a statement on the connection, and returns its rows.
Ask = Callable[[str, tuple[Any, ...]], Awaitable[Sequence[Any]]]
REPLAYED: Final = "SELECT pg_is_in_recovery() AS in_recovery, pg_last_wal_replay_lsn()::text AS lsn"
#: Most rows that a connection is known to have; then it forgets all of them.
_MOST_KNOWN: Final = 1_000


@dataclass(slots=True)
class Shown:
    """What a connection has shown of its standby."""

    #: When its identity was looked at, in seconds of the event loop's clock.
    looked_at: float | None = None
    timeline: int = 0
    #: How far it has replayed at least.
    offset: int = 0
    #: The rows that were there.
    rows: set[Wanted] = field(default_factory=set)


class Proof:
    """Proves that a standby is a copy of the primary, and new enough for one read."""

    def __init__(self, wanted: Wanted, primary: Primary, look_every: timedelta) -> None:
        self._wanted = wanted
        self._primary = primary
        self._look_every = look_every.total_seconds()

    async def on(self, ask: Ask, shown: Shown) -> None:
        """Raise NotReplayed, or StandbyUnused when the standby must not be read."""
        now = asyncio.get_running_loop().time()
        if shown.looked_at is None or now - shown.looked_at > self._look_every:
            await self._identify(ask, shown)
        if self._wanted.position is not None:
            await self._has_replayed(ask, shown, self._wanted.position)
        elif self._wanted.statement is not None and self._wanted not in shown.rows:
            if not await ask(self._wanted.statement, self._wanted.parameters):
                raise NotReplayed
            if len(shown.rows) >= _MOST_KNOWN:
                shown.rows.clear()
            shown.rows.add(self._wanted)

    async def _has_replayed(self, ask: Ask, shown: Shown, position: Position) -> None:
        if position.timeline != shown.timeline:
            await self._identify(ask, shown)
            if position.timeline != shown.timeline:
                raise StandbyUnused(Reason.OTHER_TIMELINE)
        if shown.offset >= position.offset:
            return
        (row,) = await ask(REPLAYED, ())
        if not row.in_recovery:
            raise StandbyUnused(Reason.PROMOTED, rests=True)
        shown.offset = Position.of("0", row.lsn).offset
        if shown.offset < position.offset:
            raise NotReplayed

    async def _identify(self, ask: Ask, shown: Shown) -> None:
        """Look at which server this is; raises StandbyUnused unless it is a standby of the primary."""
        shown.looked_at = None
        (row,) = await ask(OF_STANDBY, ())
        if not row.in_recovery:
            raise StandbyUnused(Reason.PROMOTED, rests=True)
        found = Identity.of(row._asdict(), row.timeline)
        known = await self._primary.identity()
        if known is not None and known.refuses(found) is not None:
            known = await self._primary.identity(fresh=True)  # it may have changed since it was asked
        if known is None:
            raise StandbyUnused(Reason.UNAVAILABLE)  # the primary, with which it cannot be compared
        if (reason := known.refuses(found)) is not None:
            raise StandbyUnused(reason, rests=True)
        shown.timeline, shown.looked_at = found.timeline, asyncio.get_running_loop().time()
