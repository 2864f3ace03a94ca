"""Run the migrations when it is this process's turn: each step by itself; or write them as SQL, one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.util import CommandError
from sqlalchemy import Connection, inspect

from livingworld.errors import LivingWorldError
from livingworld.postgres.connections.one_connection import connected
from livingworld.postgres.distribution.cluster import is_distributed, use_one_connection_to_each_node
from livingworld.postgres.distribution.distributing import distribute_added
from livingworld.postgres.metadata import SCHEMA
from livingworld.postgres.migration_run import Migrated, MigrationRun
from livingworld.postgres.migrations import comparison_options, limit_downgrade, make_schema, turn, turn_as_sql
from livingworld.postgres.upgrades.attempts import until_done
from livingworld.postgres.upgrades.progress import Progress
from livingworld.postgres.upgrades.step import LONG, QUICK
from livingworld.schema import metadata
from livingworld.settings.settings import Settings
from livingworld.story.memories.vector_similarity import provision_vectors, vectors_as_sql
from livingworld.story.worlds.isolation import keep_isolated, not_isolated


def migrate(run: MigrationRun) -> None:
    """Perform what is missing, each step by itself; a downgrade is one transaction, which the caller has begun."""
    context.configure(
        connection=run.connection,
        target_metadata=metadata,
        on_version_apply=run.done.note if run.goes_back else after_revision,
        transaction_per_migration=not run.goes_back,
        run=run,
        **comparison_options(),
    )
    with context.begin_transaction():
        if run.goes_back:
            limit_downgrade(run.connection, run.progress.limit)
        else:
            QUICK.set_on(run.connection, of_transaction=True)
        use_one_connection_to_each_node(run.connection)
        make_schema(run.connection)
        with not_isolated(run.connection) if run.goes_back else nullcontext(), run.watched():
            context.run_migrations()
        if run.goes_back or not run.done.revisions:
            complete(run.connection)
    if not run.goes_back:
        run.connection.commit()


def complete(connection: Connection) -> None:
    """Choose how vectors are compared; isolate and distribute new tables, where the others are.

    Also when nothing ran: the server may have pgvector since the last time.
    """
    if inspect(connection).has_table("memory_vectors", schema=SCHEMA):
        LONG.set_on(connection, of_transaction=True)  # pgvector is a script of hundreds of statements
        provision_vectors(connection)
    keep_isolated(connection)
    if is_distributed(connection):
        distribute_added(connection, metadata, Settings.load())


def after_revision(
    ctx: MigrationContext, step: MigrationInfo, heads: Collection[Any], run_args: Mapping[str, Any]
) -> None:
    """Note a revision, and do in its transaction what goes with each: its number says that all is there."""
    run: MigrationRun = ctx.opts["run"]
    run.done.note(ctx, step, heads, run_args)
    complete(run.connection)


async def migrate_named_database() -> None:
    """Migrate as the command `alembic` does; in a program `livingworld.postgres.migrations` does it."""
    settings = Settings.load()
    if (url := settings.url()) is None:
        message = "set LIVINGWORLD_DATABASE_URL to the database; the embedded server has `livingworld db upgrade`"
        raise CommandError(message)
    may_lose_data = None
    if context.config.cmd_opts and context.config.cmd_opts.cmd[0].__name__ == "downgrade":
        may_lose_data = context.get_x_argument(as_dictionary=True).get("destroy-data") == "yes"

    limit = settings.migration_lock_timeout
    progress, done = Progress(limit, context.config.print_stdout), Migrated()

    def run(connection: Connection) -> None:
        migrate(MigrationRun(connection, done, progress, may_lose_data=may_lose_data))

    try:
        async with turn(url, limit):
            if may_lose_data is None:
                await until_done(url, run, progress)
                return
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
