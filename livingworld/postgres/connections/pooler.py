"""What stands between this process and PostgreSQL, found out by looking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import URL

from livingworld.postgres.connections.connecting import connect
from livingworld.postgres.connections.role_limits import missing_limits
from livingworld.settings.database_url import connection_target
from livingworld.settings.settings import Settings

#: asyncpg names statements so. A pooler that keeps them gives them names of its own, which every session knows.
_OWN_NAMES: Final = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE '\\_\\_asyncpg%'"


@dataclass(frozen=True, slots=True)
class Pooler:
    """A pooler, and what it allows."""

    #: Whether a prepared statement is found on every session of the pooler.
    keeps_statements: bool
    #: The limits that a session lacks: the value that it should have, by the name of the PostgreSQL setting.
    missing_limits: dict[str, str]

    def advice(self) -> list[str]:
        """Return the environment variables that suit it, and what would make it faster."""
        lines = ["LIVINGWORLD_BEHIND_POOLER=true"]
        if self.keeps_statements:
            lines.append("LIVINGWORLD_PREPARED_STATEMENTS=true")
        else:
            lines.append("# it keeps no prepared statements; PgBouncer 1.21 or newer does with max_prepared_statements")
        if self.missing_limits:
            lines.append("# for LIVINGWORLD_LIMITS=role, with the name of your role:")
            lines += [f"# ALTER ROLE app SET {name} = '{value}';" for name, value in self.missing_limits.items()]
        else:
            lines.append("LIVINGWORLD_LIMITS=role")
        return lines


async def find_pooler(settings: Settings, url: URL) -> Pooler | None:
    """Return the pooler that a URL leads to, or None for a server; raises ConnectFailed."""
    target = connection_target(url, tls=settings.tls_context())
    connection = await connect(target, timeout=settings.connect_timeout, server_settings=dict(target.server_settings))
    try:
        return await _look(connection, settings)
    finally:
        await connection.close()


async def _look(connection: Any, settings: Settings) -> Pooler | None:  # noqa: ANN401 - asyncpg's connection
    async with connection.transaction():  # the session stays the same in it
        # A pooler hands out process ids of its own, by which it is asked to cancel.
        if await connection.fetchval("SELECT pg_backend_pid()") == connection.get_server_pid():
            return None
        own = await connection.fetchval(_OWN_NAMES)
        return Pooler(keeps_statements=own == 0, missing_limits=await missing_limits(connection, settings))
