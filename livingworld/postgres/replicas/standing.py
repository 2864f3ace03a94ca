"""Whether the standby of the settings is one of the database, and how far behind: for commands and the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL

from livingworld.postgres.connections.connecting import connect
from livingworld.postgres.driver_errors.failures import DRIVER_EXCEPTIONS, name_failure
from livingworld.postgres.replicas.identity import OF_PRIMARY, OF_STANDBY, Identity
from livingworld.postgres.replicas.unused import Reason
from livingworld.postgres.replicas.wanted import Position
from livingworld.settings.database_url import connection_target, database_address

if TYPE_CHECKING:
    from livingworld.settings.settings import Settings

_REPLAYED: Final = "SELECT pg_last_wal_replay_lsn()::text AS lsn"


@dataclass(frozen=True, slots=True)
class ReplicaStanding:
    """What a look at a standby found."""

    #: Where it is, without a password.
    address: str
    #: Why it would not be read, or None.
    refused: str | None
    #: How much of the primary's log it had not replayed, in bytes; None when it would not be read.
    behind: int | None

    def __str__(self) -> str:
        """Return it as a line for people."""
        if self.refused is not None:
            return f"replica {self.address}: not read: {self.refused}"
        return f"replica {self.address}: a standby of this database, {self.behind} bytes behind"


async def replica_standing(settings: Settings, primary: URL) -> ReplicaStanding | None:
    """Look at the standby that the settings name; None when they name none. Raises nothing about the standby."""
    if (url := settings.standby_url()) is None:
        return None
    try:
        first = await _row(settings, primary, OF_PRIMARY)
        found = await _row(settings, url, OF_STANDBY)
        replayed = (await _row(settings, url, _REPLAYED))["lsn"]
    except DRIVER_EXCEPTIONS as exception:
        return ReplicaStanding(database_address(url), str(name_failure(exception).error), None)
    return _compared(database_address(url), first, found, replayed)


def _compared(address: str, first: Any, found: Any, replayed: str | None) -> ReplicaStanding:  # noqa: ANN401 - asyncpg's rows
    if first["timeline"] is None:
        return ReplicaStanding(address, "the database is no primary itself", None)
    end = Position.of(first["timeline"], first["lsn"])
    if not found["in_recovery"]:
        return ReplicaStanding(address, Reason.PROMOTED.value, None)
    reason = Identity.of(first, end.timeline).refuses(Identity.of(found, found["timeline"]))
    if reason is not None or replayed is None:
        return ReplicaStanding(address, reason.value if reason else "it streams nothing", None)
    return ReplicaStanding(address, None, max(0, end.offset - Position.of("0", replayed).offset))


async def _row(settings: Settings, url: URL, question: str) -> Any:  # noqa: ANN401 - asyncpg's row
    target = connection_target(url, tls=settings.tls_context())
    server = dict(target.server_settings)
    connection = await connect(target, timeout=settings.connect_timeout, server_settings=server, statement_cache_size=0)
    try:
        return await connection.fetchrow(question, timeout=settings.statement_timeout.total_seconds())
    finally:
        await connection.close(timeout=settings.connect_timeout.total_seconds())
