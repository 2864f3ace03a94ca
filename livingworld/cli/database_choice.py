"""Which database a command works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer
from sqlalchemy import URL

from livingworld.database.embedded import EmbeddedServer
from livingworld.database_url import parse_url
from livingworld.settings import Settings

UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="Database to work on. Default: LIVINGWORLD_DATABASE_URL, else the embedded server."),
]


@dataclass(frozen=True, slots=True)
class ChosenDatabase:
    """A database that is there."""

    #: For LivingWorld; without a URL it finds the embedded server itself, and starts it again if it dies.
    settings: Settings
    #: For those who only know URLs.
    url: URL


@contextmanager
def chosen_database(url: str | None) -> Iterator[ChosenDatabase]:
    """Yield the database of `--url` or the environment, else the embedded server's, which runs meanwhile.

    Blocks while the embedded server starts. Raises InvalidSettings, EmbeddedServerFailed.
    """
    settings = Settings.load() if url is None else Settings.load(database_url=url)
    if (named := settings.url()) is not None:
        yield ChosenDatabase(settings, named)
        return
    with EmbeddedServer() as server:
        yield ChosenDatabase(settings, parse_url(server.url()))
