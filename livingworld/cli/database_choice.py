"""Which database a command works on, and how long it waits for another one that migrates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import typer
from alembic.util import CommandError
from sqlalchemy import URL

from livingworld.embedded_server import EmbeddedServer, default_home
from livingworld.errors import InvalidInput
from livingworld.postgres import migrations
from livingworld.settings.database_url import database_address, parse_url
from livingworld.settings.settings import Settings

UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="Database to work on. Default: LIVINGWORLD_DATABASE_URL, else the embedded server."),
]
LockTimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--lock-timeout",
        metavar="SECONDS",
        help="Longest wait for another process that migrates. Default: LIVINGWORLD_MIGRATION_LOCK_TIMEOUT, else 60.",
    ),
]


@dataclass(frozen=True, slots=True)
class ChosenDatabase:
    """The database that a command works on."""

    #: For LivingWorld, which without a URL uses the embedded server, and starts it again when it ends.
    settings: Settings
    #: For callers that take a URL.
    url: URL
    #: Its name for people; no password.
    name: str


@asynccontextmanager
async def chosen_database(
    url: str | None, *, lock_timeout: float | None = None, direct: bool = False
) -> AsyncIterator[ChosenDatabase]:
    """Yield the database of `--url` or the environment, else the embedded server's, which runs meanwhile.

    `direct`: by LIVINGWORLD_DIRECT_DATABASE_URL where that is set and no `--url` is given. Raises InvalidSettings,
    EmbeddedServerFailed.
    """
    chosen: dict[str, object] = {} if url is None else {"database_url": url}
    if lock_timeout is not None:
        chosen["migration_lock_timeout"] = timedelta(seconds=lock_timeout)
    settings = Settings.load(**chosen)
    beside_pooler = settings.listening_url() if direct and url is None else None
    if (named := beside_pooler or settings.url()) is not None:
        yield ChosenDatabase(settings, named, database_address(named))
        return
    server = EmbeddedServer()
    try:
        await asyncio.to_thread(server.start)
        typer.echo(f"livingworld: {server.description}", err=True)
        yield ChosenDatabase(settings, parse_url(server.url()), f"embedded server in {default_home()}")
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def database_to_migrate(url: str | None, lock_timeout: float | None) -> AsyncIterator[ChosenDatabase]:
    """Yield the chosen database; a revision that the block asks for and that does not exist is InvalidInput."""
    async with chosen_database(url, lock_timeout=lock_timeout, direct=True) as database:
        reason = None
        try:
            yield database
        except CommandError as error:
            reason = str(error)
        if reason is not None:
            await migrations.status(database.url)  # fails when it is the database's own revision that is unknown
            field = "revision"
            raise InvalidInput(field, reason)
