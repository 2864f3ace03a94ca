"""A session that PostgreSQL ends behind the proxy, as an administrator or a shutdown would."""

from __future__ import annotations

from livingworld.testing.protocol_proxy import ProxiedConnection
from livingworld.testing.staged_races import connected


async def kill(url: str, connection: ProxiedConnection) -> None:
    """End the session of a connection, and return when its process is gone."""
    async with connected(url) as killer:
        assert await killer.fetchval("SELECT pg_terminate_backend(CAST($1 AS integer), 5000)", connection.backend_pid)
