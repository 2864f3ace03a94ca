"""Of which cluster, timeline and schema a server is: a standby is read only when these are the primary's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

from livingworld.background.tasks import BackgroundTasks
from livingworld.errors import LivingWorldError, ServerReadOnly
from livingworld.postgres.metadata import SCHEMA, VERSION_TABLE
from livingworld.postgres.replicas.unused import Reason
from livingworld.postgres.replicas.wanted import Position
from livingworld.postgres.transactions.database import Database
from livingworld.postgres.transactions.transaction import Transaction

#: Where the primary's log ends: what was committed before lies before it, also where the disk does not have it yet.
END_OF_LOG: Final = """
    SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline, pg_current_wal_insert_lsn()::text AS lsn
    WHERE NOT pg_is_in_recovery()"""
_OF_ANY: Final = f"""
    (SELECT system_identifier FROM pg_control_system()) AS cluster,
    (SELECT version_num FROM {SCHEMA}.{VERSION_TABLE}) AS revision,
    EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') AS is_distributed"""  # noqa: S608 - our own names
OF_PRIMARY: Final = f"SELECT a.*, log.* FROM (SELECT {_OF_ANY}) AS a LEFT JOIN ({END_OF_LOG}) AS log ON true"  # noqa: S608
# No function gives a standby's timeline to every role. It has reached at least that of its last restartpoint, and that
# of its receiver, which members of pg_read_all_stats see: after a failover the others wait for a restartpoint.
OF_STANDBY: Final = f"""
    SELECT {_OF_ANY}, pg_is_in_recovery() AS in_recovery, greatest(
        (SELECT timeline_id FROM pg_control_checkpoint()),
        (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
        (SELECT received_tli FROM pg_stat_wal_receiver)
    ) AS timeline"""  # noqa: S608 - our own names

#: Not 0: the clock of an event loop may begin when the machine does.
_BEFORE_ALL: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Identity:
    """Of which history a server is."""

    #: PostgreSQL's system identifier, which copies share.
    cluster: int
    timeline: int
    revision: str
    is_distributed: bool

    @classmethod
    def of(cls, row: Mapping[str, Any], timeline: int) -> Identity:
        """Return the identity that a server tells."""
        return cls(row["cluster"], timeline, row["revision"], row["is_distributed"])

    def refuses(self, standby: Identity) -> Reason | None:
        """Return why a standby must not be read in place of this primary, or None."""
        if self.cluster != standby.cluster:
            return Reason.OTHER_CLUSTER
        if self.is_distributed:
            return Reason.DISTRIBUTED
        if self.timeline != standby.timeline:
            return Reason.OTHER_TIMELINE
        return Reason.OTHER_SCHEMA if self.revision != standby.revision else None


async def read_end_of_log(tx: Transaction) -> Position:
    """Return where the primary's log ends; raises ServerReadOnly on a standby."""
    row = (await tx.execute_text(END_OF_LOG, ())).first()
    if row is None:
        raise ServerReadOnly
    return Position.of(row.timeline, row.lsn)


async def _read_primary(tx: Transaction) -> Identity:
    row: Any = (await tx.execute_text(OF_PRIMARY, ())).first()
    if row.timeline is None:
        raise ServerReadOnly
    return Identity.of(row._asdict(), Position.of(row.timeline, row.lsn).timeline)


class Primary:
    """What the standby is compared with; asked for rarely, and while the primary is away it stays as it was."""

    def __init__(self, database: Database, tasks: BackgroundTasks, look_every: timedelta) -> None:
        self._ask: Callable[[], Awaitable[Identity]] = partial(
            database.run, _read_primary, repeatable=True, single_statement=True
        )
        self._tasks, self._every = tasks, look_every.total_seconds()
        self._known: Identity | None = None
        self._asked_at = _BEFORE_ALL
        self._asking: asyncio.Task[Identity | None] | None = None

    async def identity(self, *, fresh: bool = False) -> Identity | None:
        """Return the primary's identity, or None when it was never reached; `fresh` waits for what it says now."""
        is_old = asyncio.get_running_loop().time() - self._asked_at > self._every
        if (is_old or fresh) and (self._asking is None or self._asking.done()):
            self._asking = self._tasks.watch(self._look())
        if self._asking is not None and (fresh or self._known is None):
            await asyncio.wait((self._asking,))  # it is cancelled when the LivingWorld closes
        return self._known

    async def _look(self) -> Identity | None:
        self._asked_at = asyncio.get_running_loop().time()
        try:
            self._known = await self._ask()
        except LivingWorldError:
            if self._known is None:
                self._asked_at = _BEFORE_ALL
        return self._known
