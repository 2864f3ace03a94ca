"""Databases that live for a test, or for several."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg.sql import SQL, Identifier

from livingworld.testing.server import ServerAddress

#: Unique for each session, also when several machines share a server; workers of xdist may have the same.
SESSION: Final = f"livingworld_test_{os.getpid()}_{secrets.token_hex(4)}"
_numbers = itertools.count(1)


def name_of_worker() -> str:
    """Return what the names of databases and roles of this process begin with: unique for each worker of xdist too."""
    return SESSION + os.environ.get("PYTEST_XDIST_WORKER", "")


@dataclass(frozen=True, slots=True)
class DatabaseMaker:
    """Makes databases on a server and drops them, over one connection."""

    server: ServerAddress
    connection: psycopg.Connection
    #: How a template is copied. Its files are copied quickly, but between two checkpoints, which are slow with fsync.
    strategy: SQL

    @contextmanager
    def database(self, *, template: str) -> Iterator[str]:
        """Yield the URL of a new database, a copy of another one; open connections are closed at the end."""
        name = f"{name_of_worker()}_{next(_numbers)}"
        self.connection.execute(
            SQL("CREATE DATABASE {} TEMPLATE {} {}").format(Identifier(name), Identifier(template), self.strategy)
        )
        try:
            yield self.server.url(name)
        finally:
            self.connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


@contextmanager
def database_maker_on(server: ServerAddress) -> Iterator[DatabaseMaker]:
    """Connect to the maintenance database of a server."""
    with psycopg.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        dbname=server.maintenance_dbname,
        autocommit=True,
    ) as connection:
        durable = connection.execute("SHOW fsync").fetchone() == ("on",)
        yield DatabaseMaker(server, connection, SQL("STRATEGY WAL_LOG" if durable else "STRATEGY FILE_COPY"))
