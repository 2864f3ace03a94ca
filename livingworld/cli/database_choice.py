"""Which database a command works on, and how long it waits for another one that migrates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import typer
from sqlalchemy import URL

from livingworld.embedded_server import EmbeddedServer, default_home
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
    """A database that is there."""

    #: For LivingWorld; without a URL it finds the embedded server itself, and starts it again if it dies.
    settings: Settings
    #: For those who only know URLs.
    url: URL
    #: What a person calls it; no password.
    name: str


@asynccontextmanager
async def chosen_database(url: str | None, *, lock_timeout: float | None = None) -> AsyncIterator[ChosenDatabase]:
    """Give the database of `--url` or the environment, else the embedded server's, which runs meanwhile.

    Raises InvalidSettings, EmbeddedServerFailed.
    """
    chosen: dict[str, object] = {} if url is None else {"database_url": url}
    if lock_timeout is not None:
        chosen["migration_lock_timeout"] = timedelta(seconds=lock_timeout)
    settings = Settings.load(**chosen)
    if (named := settings.url()) is not None:
        yield ChosenDatabase(settings, named, database_address(named))
        return
    server = EmbeddedServer()
    try:
        await asyncio.to_thread(server.start)
        typer.echo(f"livingworld: {server.description}", err=True)
        yield ChosenDatabase(settings, parse_url(server.url()), f"embedded server in {default_home()}")
    finally:
        await asyncio.to_thread(server.stop)
