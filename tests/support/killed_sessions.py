"""A session that PostgreSQL ends behind the proxy, as an administrator or a shutdown would."""

from __future__ import annotations

from typing import Final

from livingworld.testing.protocol_proxy import ProxiedConnection
from livingworld.testing.staged_races import connected

#: The number that a pooler gives names no session: tests/support/through_pooler.py puts another statement here.
END: Final = "SELECT pg_terminate_backend(CAST($1 AS integer), 5000)"


async def kill(url: str, connection: ProxiedConnection) -> None:
    """End the session of a connection, and return when its process is gone."""
    async with connected(url) as killer:
        assert await killer.fetchval(END, connection.backend_pid)
