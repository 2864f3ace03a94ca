"""Databases that live for a test, or for several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Identifier

from livingworld.testing.server import ServerAddress


@dataclass(frozen=True, slots=True)
class DatabaseMaker:
    """Makes databases on a server and drops them, over one connection."""

    server: ServerAddress
    connection: psycopg.Connection
    #: How a template is copied. Its files are copied quickly, but between two checkpoints, which are slow with fsync.
    strategy: SQL

    @contextmanager
    def database(self, name: str, *, template: str) -> Iterator[str]:
        """Give the URL of a new database; what is still connected to it at the end is ended."""
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
