"""A database to migrate: what alembic complains of becomes errors of livingworld."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from alembic.util import CommandError

from livingworld.cli.database_choice import ChosenDatabase, chosen_database
from livingworld.errors import InvalidInput
from livingworld.postgres import migrations


@asynccontextmanager
async def database_to_migrate(url: str | None, lock_timeout: float | None) -> AsyncIterator[ChosenDatabase]:
    """Give the chosen database; a revision that the block asks for and nobody knows is InvalidInput."""
    async with chosen_database(url, lock_timeout=lock_timeout) as database:
        reason = None
        try:
            yield database
        except CommandError as error:
            reason = str(error)
        if reason is not None:
            await migrations.status(database.url)  # fails when it is the database's own revision that is unknown
            field = "revision"
            raise InvalidInput(field, reason)
