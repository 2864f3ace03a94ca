"""The PostgreSQL server of a test session: a named one, else an embedded one that ends with the session."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import pytest
from pytest_postgresql.config import get_config
from sqlalchemy import URL

from livingworld.embedded_server import EmbeddedServer
from livingworld.embedded_server.layout import PORT
from livingworld.settings.database_url import connection_target, parse_url
from livingworld.testing.remover import remove
from livingworld.testing.throw_away_directory import throw_away_directory

#: Small, many clients, and no background work that makes a test's numbers vary from run to run.
_CONF: Final = {
    "shared_buffers": "64MB",
    "max_connections": "200",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """How to reach the session's server; the fields are what pytest-postgresql reads."""

    #: A name, or the directory of a unix socket.
    host: str
    port: int = PORT
    user: str = "postgres"
    password: str | None = None
    options: str = ""
    #: Where to connect to create and drop databases.
    maintenance_dbname: str = "postgres"
    template_dbname: str | None = None
    #: Further parameters of the server's URL, such as `sslmode`, for livingworld's connections. Those of
    #: pytest-postgresql follow libpq's environment variables.
    parameters: Mapping[str, str] = field(default_factory=dict)

    def url(self, database: str) -> str:
        """Return the URL of a database on this server for SQLAlchemy and asyncpg."""
        if self.host.startswith("/"):
            host, port, query = None, None, {"host": self.host, "port": str(self.port)}
        else:
            host, port, query = self.host, self.port, {}
        query |= self.parameters
        url = URL.create("postgresql+asyncpg", self.user, self.password, host, port, database, query)
        return url.render_as_string(hide_password=False)


@contextlib.contextmanager
def running_server(request: pytest.FixtureRequest) -> Iterator[ServerAddress]:
    """Yield the server of `--postgresql-host`, else of `LIVINGWORLD_TEST_DSN`, else an embedded one."""
    if request.config.getoption("postgresql_host"):
        yield _named_by_options(request)
    elif dsn := os.environ.get("LIVINGWORLD_TEST_DSN"):
        yield _named_by_dsn(dsn)
    else:
        home = throw_away_directory("livingworld-test-")
        try:
            with EmbeddedServer(home, durable=False, conf=_CONF) as server:
                yield ServerAddress(str(server.socket_directory))
        finally:
            remove(home)


def _named_by_options(request: pytest.FixtureRequest) -> ServerAddress:
    config = get_config(request)
    return ServerAddress(
        host=config.host,
        port=int(config.port or PORT),
        user=config.user,
        password=config.password or None,
        options=config.options,
        maintenance_dbname=config.maintenance_dbname,
    )


def _named_by_dsn(dsn: str) -> ServerAddress:
    url, first = parse_url(dsn), connection_target(dsn).addresses[0]
    places = {"host", "hostaddr", "port"}
    return ServerAddress(
        host=first.host or "localhost",
        port=first.port,
        user=url.username or "postgres",
        password=url.password,
        maintenance_dbname=url.database or "postgres",
        parameters={name: str(value) for name, value in url.query.items() if name not in places},
    )
