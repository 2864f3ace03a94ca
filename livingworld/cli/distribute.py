"""`livingworld db distribute`: spread the tables of a database over the nodes of a Citus cluster."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from livingworld.cli.database_choice import UrlOption, chosen_database
from livingworld.cli.interruption import interruption
from livingworld.postgres.distribution.distributing import SHARDS, Standing
from livingworld.postgres.distribution.distributing import distribute as distribute_database
from livingworld.schema import metadata

MAX_SHARDS: Final = 1024


def distribute(
    shards: Annotated[
        int, typer.Option("--shards", min=1, max=MAX_SHARDS, help="Parts of a table; as many nodes can share it.")
    ] = SHARDS,
    url: UrlOption = None,
) -> None:
    """Distribute every table by world over the nodes of Citus, and make each function and setting known there.

    Stop the programs first. Run it on the coordinator; run it again after a failure, and nothing is done twice.
    """

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


def describe(found: Standing) -> str:
    """Return the line about the nodes of a database."""
    if not found.is_distributed:
        return f"Citus {found.citus} is there, and nothing is distributed"
    over = f"distributed over {len(found.nodes)} nodes" if len(found.nodes) > 1 else "distributed on one node"
    if not found.missing:
        return f"{over}, and whole"
    what = f"{len(found.missing)} things are missing, first {found.missing[0]}"
    return f"{over}, and not whole: {what}; run `livingworld db distribute`"
