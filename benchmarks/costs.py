"""What a stretch of work costs: CPU time of this process and of the server, and bytes of WAL."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self

import asyncpg
import psutil  # type: ignore[import-untyped]

from livingworld.testing.staged_races import connection_arguments


@dataclass(frozen=True, slots=True)
class Cost:
    """Counters at one moment, or their differences between two moments, or those for each operation."""

    client_us: float
    #: 0 where the server is on another machine.
    server_us: float
    wal_bytes: float

    def __sub__(self, earlier: Cost) -> Cost:
        return Cost(
            self.client_us - earlier.client_us, self.server_us - earlier.server_us, self.wal_bytes - earlier.wal_bytes
        )

    def each(self, operations: int) -> Cost:
        """Return the cost of one of so many operations."""
        return Cost(self.client_us / operations, self.server_us / operations, self.wal_bytes / operations)


class CostMeter:
    """Reads the counters of a server by a connection of its own."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record], server: psutil.Process | None) -> None:
        self._connection = connection
        self._server = server

    @classmethod
    async def connect(cls, url: str) -> Self:
        """Connect, and find the server's processes where they are on this machine."""
        connection = await asyncpg.connect(**connection_arguments(url))
        try:
            backend = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()"))
            server = backend.parent() if backend.name().startswith("postgres") else None
        except psutil.Error:
            server = None
        return cls(connection, server)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def now(self) -> Cost:
        """Return the counters of this moment. The CPU time of a session that has ended since is missing."""
        wal = await self._connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        return Cost(time.process_time() * 1e6, self._server_seconds() * 1e6, float(wal))

    def _server_seconds(self) -> float:
        if self._server is None:
            return 0
        return sum(_seconds(process) for process in self._server.children())


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0
    return float(times.user + times.system)
