"""Run the migrations on one connection, in one transaction, when it is this process's turn; or write them as SQL."""

from __future__ import annotations

import asyncio

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, inspect

from livingworld.errors import LivingWorldError
from livingworld.postgres.distribution.cluster import is_distributed
from livingworld.postgres.distribution.distributing import distribute_added
from livingworld.postgres.metadata import SCHEMA
from livingworld.postgres.migration_run import MigrationRun
from livingworld.postgres.migrations import comparison_options, connected, take_turn, turn_as_sql
from livingworld.schema import metadata
from livingworld.settings.settings import Settings
from livingworld.story.memories.vector_similarity import provision_vectors, vectors_as_sql
from livingworld.story.worlds.isolation import kept_isolated


def migrate(run: MigrationRun) -> None:
    connection = run.connection
    context.configure(
        connection=connection, target_metadata=metadata, on_version_apply=run.done.note, **comparison_options()
    )
    with context.begin_transaction():
        take_turn(connection, run.lock_timeout)
        with kept_isolated(connection, for_a_downgrade=run.may_lose_data is not None), run.watched():
            context.run_migrations()
        if inspect(connection).has_table("memory_vectors", schema=SCHEMA):
            provision_vectors(connection)
        if is_distributed(connection):
            distribute_added(connection, metadata, Settings.load())


async def migrate_named_database() -> None:
    """Migrate as the command `alembic` does; in a program `livingworld.postgres.migrations` does it."""
    settings = Settings.load()
    if (url := settings.url()) is None:
        message = "set LIVINGWORLD_DATABASE_URL to the database; the embedded server has `livingworld db upgrade`"
        raise CommandError(message)
    may_lose_data = None
    if context.config.cmd_opts and context.config.cmd_opts.cmd[0].__name__ == "downgrade":
        may_lose_data = context.get_x_argument(as_dictionary=True).get("destroy-data") == "yes"

    def run(connection: Connection) -> None:
        migrate(MigrationRun(connection, settings.migration_lock_timeout, may_lose_data=may_lose_data))

    try:
        async with connected(url) as connection, connection.begin():
            await connection.run_sync(run)
    except LivingWorldError as error:  # alembic prints a line for an error of its own
        raise CommandError(str(error)) from error


def write_sql() -> None:
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},
        literal_binds=True,
        target_metadata=metadata,
        **comparison_options(),
    )
    with context.begin_transaction():
        for statement in turn_as_sql():
            context.execute(statement)
        context.run_migrations()
        context.execute(vectors_as_sql())


if context.is_offline_mode():
    write_sql()
elif (told := context.config.attributes.get("run")) is not None:
    migrate(told)
else:
    asyncio.run(migrate_named_database())
