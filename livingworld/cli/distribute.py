"""`livingworld db distribute`: spread the tables over the nodes of a Citus cluster, or cut those of one server."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from livingworld.cli.database_choice import UrlOption, chosen_database
from livingworld.cli.interruption import interruption
from livingworld.postgres.distribution.distributing import SHARDS, Standing
from livingworld.postgres.distribution.distributing import distribute as distribute_database
from livingworld.postgres.distribution.partitioning import Partitioned, partition
from livingworld.postgres.distribution.partitions import Partitions
from livingworld.schema import metadata
from livingworld.story.worlds.isolation import keep_isolated

MAX_SHARDS: Final = 1024
MAX_PARTITIONS: Final = 256


def distribute(
    shards: Annotated[
        int, typer.Option("--shards", min=1, max=MAX_SHARDS, help="Parts of a table; as many nodes can share it.")
    ] = SHARDS,
    partitions: Annotated[
        int | None,
        typer.Option("--partitions", min=2, max=MAX_PARTITIONS, help="Cut the largest tables of one plain server."),
    ] = None,
    url: UrlOption = None,
) -> None:
    """Distribute every table by world over the nodes of Citus, and make each function and setting known there.

    With --partitions: cut the largest tables of one plain server into so many partitions by world. Stop the programs
    first. Run it on the coordinator; run it again after a failure, and nothing is done twice.
    """
    if partitions is not None:
        _partition(url, partitions)

    async def work() -> Standing:
        async with chosen_database(url) as database:
            return await distribute_database(
                database.url, metadata, database.settings, shards=shards, report=lambda line: typer.echo(line, err=True)
            )

    found = interruption.run(work())
    for line in found.refused:
        typer.echo(f"missing: {line}", err=True)
    if found.refused:
        raise typer.Exit(1)
    typer.echo(describe(found))
    raise typer.Exit(1 if found.missing else 0)


def _partition(url: str | None, count: int) -> None:
    async def work() -> Partitioned:
        async with chosen_database(url) as database:
            return await partition(
                database.url,
                metadata,
                count,
                complete=keep_isolated,
                report=lambda name: typer.echo(f"partitions of the table {name}", err=True),
            )

    found = interruption.run(work())
    for line in found.refused:
        typer.echo(f"missing: {line}", err=True)
    if not found.refused:
        typer.echo(describe_partitions(found.partitions))
    raise typer.Exit(1 if found.refused or found.partitions.missing else 0)


def describe_partitions(found: Partitions) -> str:
    """Return the line about the partitions of a database that has some."""
    cut = f"{len(found.parts) - len(found.whole)} tables in {found.count} partitions by world"
    if not found.missing:
        return cut
    what = f"{len(found.missing)} things are missing, first {found.missing[0]}"
    return f"{cut}, and not whole: {what}; run `livingworld db distribute --partitions {found.count}`"


def describe(found: Standing) -> str:
    """Return the line about the nodes of a database."""
    if not found.is_distributed:
        return f"Citus {found.citus} is there, and nothing is distributed"
    over = f"distributed over {len(found.nodes)} nodes" if len(found.nodes) > 1 else "distributed on one node"
    if not found.missing:
        return f"{over}, and whole"
    what = f"{len(found.missing)} things are missing, first {found.missing[0]}"
    return f"{over}, and not whole: {what}; run `livingworld db distribute`"
