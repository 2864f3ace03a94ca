"""The database of the embedded server: it has no administrator, so opening it creates and upgrades its tables."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import asyncpg
from sqlalchemy import URL

from livingworld.embedded_server import EmbeddedServer
from livingworld.errors import SchemaTooNew
from livingworld.observability import events
from livingworld.postgres.connections.connecting import connect
from livingworld.postgres.driver_errors.failures import DRIVER_EXCEPTIONS, name_failure
from livingworld.settings.database_url import connection_target, parse_url

if TYPE_CHECKING:
    from livingworld.settings.settings import Settings

_REVISION: Final = "SELECT version_num FROM livingworld.alembic_version"


class EmbeddedDatabase:
    """The embedded server while this process is one of its clients, with this release's tables."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        #: How to reach it.
        self.url: URL = parse_url(server.url())

    async def revive(self) -> None:
        """Start the server again if it has ended."""
        began = time.monotonic()
        await asyncio.to_thread(self._server.ensure_running)
        events.emit(events.EMBEDDED_SERVER_RESTARTED, milliseconds=_milliseconds_since(began))


@asynccontextmanager
async def embedded_database(settings: Settings) -> AsyncIterator[EmbeddedDatabase]:
    """Start or join the embedded server, upgrade its tables to this release, and leave it when the block ends.

    Several processes may do so at once: one migrates, the others wait. Raises EmbeddedServerFailed, SchemaTooNew,
    MigrationTimeout.
    """
    server = EmbeddedServer()
    try:
        began = time.monotonic()
        await asyncio.to_thread(server.start)
        events.emit(
            events.EMBEDDED_SERVER_STARTED,
            milliseconds=_milliseconds_since(began),
            data_directory=str(server.data_directory),
            version=server.version,
        )
        database = EmbeddedDatabase(server)
        await _bring_up_to_date(database.url, settings)
        yield database
    finally:
        await asyncio.to_thread(server.stop)


async def _bring_up_to_date(url: URL, settings: Settings) -> None:
    from livingworld.postgres import migrations  # noqa: PLC0415 - alembic is a fifth of the time of an import

    known = migrations.revisions()
    found = await _revision(url, settings)
    if found is not None and found > known[-1]:
        raise SchemaTooNew(revision=found, newest_known=known[-1])
    if found != known[-1]:
        await migrations.upgrade(url, lock_timeout=settings.migration_lock_timeout)


async def _revision(url: URL, settings: Settings) -> str | None:
    """Return the revision of the tables, or None where there are none: one connection and one query."""
    try:
        limit = settings.command_timeout.total_seconds()
        connection = await connect(connection_target(url), timeout=settings.connect_timeout, command_timeout=limit)
        try:
            found: str | None = await connection.fetchval(_REVISION)
        finally:
            await connection.close()
    except asyncpg.UndefinedTableError:
        return None
    except DRIVER_EXCEPTIONS as exception:
        failure = name_failure(exception)
    else:
        return found
    raise failure.error from failure.cause


def _milliseconds_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
