"""`livingworld db`: migrate a database to this release's tables, and show its state."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer

from livingworld import LivingWorld, Pruned
from livingworld.cli.database_choice import LockTimeoutOption, UrlOption, chosen_database, database_to_migrate
from livingworld.cli.distribute import describe, describe_partitions, distribute
from livingworld.cli.downgrade import downgrade
from livingworld.cli.interruption import interruption
from livingworld.cli.migration_report import plan_of_upgrade, standing, summary
from livingworld.errors import SchemaNotReady
from livingworld.inputs import one_line
from livingworld.postgres import migrations
from livingworld.postgres import roles as database_roles
from livingworld.postgres.connections.pooler import find_pooler
from livingworld.postgres.distribution.distributing import Standing
from livingworld.postgres.distribution.distributing import standing as distribution_standing
from livingworld.postgres.distribution.partitioning import partitions_of
from livingworld.postgres.distribution.partitions import Partitions
from livingworld.postgres.migrations import MigrationStatus
from livingworld.postgres.replicas.standing import ReplicaStanding, replica_standing
from livingworld.schema import metadata
from livingworld.story.memories.nearest_index import index_memories as make_index
from livingworld.story.worlds.isolation import isolate as switch_isolation

commands = typer.Typer(help="Migrate a database to this release's tables.", no_args_is_help=True)
commands.command()(downgrade)
commands.command()(distribute)


@commands.command()
def upgrade(
    revision: Annotated[str, typer.Argument(help="Where to stop.")] = "head",
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what each step locks, who waits and what is rewritten; change nothing.")
    ] = False,
    lock_timeout: LockTimeoutOption = None,
    url: UrlOption = None,
) -> None:
    """Create or upgrade the tables while others read and write; running it again, or several at once, is harmless.

    What was interrupted goes on where it ended.
    """

    async def work() -> str:
        async with database_to_migrate(url, lock_timeout) as database:
            if plan:
                return plan_of_upgrade(database.name, await migrations.plan(database.url, revision))
            limit = database.settings.migration_lock_timeout
            done = await migrations.upgrade(database.url, revision, lock_timeout=limit, tell=_tell)
            return summary(database.name, "upgraded", done, await migrations.status(database.url))

    typer.echo(interruption.run(work()))


def _tell(line: str) -> None:
    typer.echo(line, err=True)


@commands.command()
def status(url: UrlOption = None) -> None:
    """Show the revision, how Citus or partitions cut the tables, and how far behind the standby of the settings is.

    Exit code 1 when the database is behind or not whole, or the standby is none of this database.
    """

    async def work() -> tuple[MigrationStatus, Standing, Partitions, ReplicaStanding | None]:
        async with chosen_database(url) as database:
            found = await migrations.status(database.url)
            distribution = await distribution_standing(database.url, metadata, database.settings)
            partitions = await partitions_of(database.url, metadata)
            return found, distribution, partitions, await replica_standing(database.settings, database.url)

    found, distribution, partitions, replica = interruption.run(work())
    typer.echo(standing(found))
    if replica is not None:
        typer.echo(replica)
    if partitions.count:
        typer.echo(describe_partitions(partitions))
    if distribution.citus is not None:
        typer.echo(describe(distribution))
    is_refused = replica is not None and replica.refused is not None
    missing = partitions.missing or (distribution.is_distributed and distribution.missing)
    raise typer.Exit(1 if found.pending or is_refused or missing else 0)


@commands.command()
def check(url: UrlOption = None) -> None:
    """Compare the database with the tables of this release; exit code 1 when it is behind or different.

    Says what a pooler in between allows, and which variables suit it; and how far behind the standby of the settings
    is, with exit code 1 when it is none of this database.
    """

    async def work() -> tuple[MigrationStatus, list[str], list[str], ReplicaStanding | None]:
        async with chosen_database(url) as database:
            pooler = await find_pooler(database.settings, database.url)
            found = await migrations.status(database.url)
            different = await migrations.check(database.url, metadata) if found.current else []
            advice = ["a pooler is in between; set:", *pooler.advice()] if pooler else []
            return found, different, advice, await replica_standing(database.settings, database.url)

    found, differences, advice, replica = interruption.run(work())
    for line in [*advice, *([str(replica)] if replica else ())]:
        typer.echo(line)
    for line in differences:
        typer.echo(one_line(line))
    if found.pending:
        typer.echo(standing(found))
    elif differences:
        typer.echo(f"at revision {found.current}, and different from this release's tables in {len(differences)}")
    else:
        typer.echo("the database has exactly this release's tables")
    is_refused = replica is not None and replica.refused is not None
    raise typer.Exit(1 if found.pending or differences or is_refused else 0)


@commands.command()
def prune(url: UrlOption = None) -> None:
    """Remove old cached vectors, request keys, events, ended actions and interactions, by the settings `keep_...`.

    Others go on meanwhile; several may prune at once.
    """

    async def work() -> Pruned:
        async with chosen_database(url) as database, LivingWorld.open(database.settings) as livingworld:
            return await livingworld.prune()

    counts = asdict(interruption.run(work()))
    typer.echo("removed " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()))


@commands.command()
def index_memories(
    world_id: Annotated[UUID, typer.Argument(help="The world whose memories have vectors.")],
    url: UrlOption = None,
) -> None:
    """Index the vectors of a world's embedder, so that recall stays fast among many memories; others go on meanwhile.

    Needs pgvector 0.8 or later. Run it again after another embedder has taken over.
    """

    async def work() -> str:
        async with chosen_database(url) as database:
            return await make_index(database.url, world_id)

    typer.echo(f"made the index {interruption.run(work())}")


@commands.command()
def isolate(
    off: Annotated[bool, typer.Option("--off", help="Take the policies away.")] = False,
    lock_timeout: LockTimeoutOption = None,
    url: UrlOption = None,
) -> None:
    """Have PostgreSQL show each transaction the rows of one world only (row-level security), the owner's too.

    Set LIVINGWORLD_ROW_SECURITY=true for every program first: without it a program is refused afterwards. Run it as the
    owner of the tables, once; an upgrade keeps it.
    """

    async def work() -> str:
        async with database_to_migrate(url, lock_timeout) as database:
            if (await migrations.status(database.url)).current is None:
                raise SchemaNotReady
            await switch_isolation(database.url, on=not off, lock_timeout=database.settings.migration_lock_timeout)
            return f"{database.name}: {'every transaction sees all worlds' if off else 'a transaction sees one world'}"

    typer.echo(interruption.run(work()))


@commands.command()
def roles(
    application: Annotated[
        str, typer.Option("--application", help="The role that programs get: reads and writes rows, and nothing else.")
    ] = database_roles.APPLICATION,
    reader: Annotated[str, typer.Option("--reader", help="The role of those who only read.")] = database_roles.READER,
    as_sql: Annotated[bool, typer.Option("--sql", help="Print the statements and connect to nothing.")] = False,
    url: UrlOption = None,
) -> None:
    """Make the roles of an application and of readers, and give them what they need and nothing else.

    Run it as the owner of the tables, once and after each upgrade. `GRANT livingworld_application TO ...` gives it
    to a login.
    """
    if as_sql:
        statements = database_roles.role_statements(application, reader)
        typer.echo(";\n".join(["BEGIN", *statements, "COMMIT;"]))
        return

    async def work() -> str:
        async with chosen_database(url) as database:
            if (await migrations.status(database.url)).current is None:
                raise SchemaNotReady
            await database_roles.make_roles(database.url, application, reader)
            return f"{database.name}: {application} reads and writes, {reader} reads"

    typer.echo(interruption.run(work()))
