"""`livingworld db`: bring a database to this release's tables, and say where it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from alembic.util import CommandError
from sqlalchemy import URL

from livingworld.cli.database_choice import UrlOption, chosen_database
from livingworld.database import migrations
from livingworld.errors import InvalidInput
from livingworld.schema import metadata

commands = typer.Typer(help="Bring a database to this release's tables.", no_args_is_help=True)


@commands.command()
def upgrade(
    revision: Annotated[str, typer.Argument(help="Where to stop.")] = "head",
    url: UrlOption = None,
) -> None:
    """Create or upgrade the tables; several may run it at once, and again is harmless."""
    with chosen_database(url) as database, _unknown_revision_refused(database.url):
        limit = database.settings.migration_lock_timeout
        asyncio.run(migrations.upgrade(database.url, revision, lock_timeout=limit))
        typer.echo(_standing(asyncio.run(migrations.status(database.url))))


@commands.command()
def downgrade(
    revision: Annotated[str, typer.Argument(help="Where to go back to; `base` removes every table and every story.")],
    url: UrlOption = None,
) -> None:
    """Take the tables back to an older revision."""
    with chosen_database(url) as database, _unknown_revision_refused(database.url):
        limit = database.settings.migration_lock_timeout
        asyncio.run(migrations.downgrade(database.url, revision, lock_timeout=limit))
        typer.echo(_standing(asyncio.run(migrations.status(database.url))))


@commands.command()
def status(url: UrlOption = None) -> None:
    """Say where the database stands; exit code 1 when it is behind."""
    with chosen_database(url) as database:
        found = asyncio.run(migrations.status(database.url))
    typer.echo(_standing(found))
    raise typer.Exit(1 if found.pending else 0)


@commands.command()
def check(url: UrlOption = None) -> None:
    """Compare the database with the tables of this release; exit code 1 when it is behind or different."""
    with chosen_database(url) as database:
        found = asyncio.run(migrations.status(database.url))
        differences = asyncio.run(migrations.check(database.url, metadata))
    for line in differences:
        typer.echo(line)
    typer.echo(_standing(found) if found.pending or differences else "the database has exactly this release's tables")
    raise typer.Exit(1 if found.pending or differences else 0)


def _standing(found: migrations.MigrationStatus) -> str:
    at = f"at revision {found.current}" if found.current else "not migrated yet"
    if not found.pending:
        return f"{at}, nothing to do"
    return f"{at}, behind {found.head} by {len(found.pending)}: {', '.join(found.pending)}"


@contextmanager
def _unknown_revision_refused(url: URL) -> Iterator[None]:
    reason = None
    try:
        yield
    except CommandError as error:
        reason = str(error)
    if reason is not None:
        asyncio.run(migrations.status(url))  # fails when it is the database's own revision that is unknown
        field = "revision"
        raise InvalidInput(field, reason)
