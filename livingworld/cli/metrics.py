"""`livingworld metrics`: what the database itself can tell. The counters of a process are read in that process."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from livingworld.cli.database_choice import UrlOption, chosen_database
from livingworld.cli.interruption import interruption
from livingworld.postgres.connections.engine import create_engine
from livingworld.postgres.database_numbers import read_numbers
from livingworld.postgres.transactions.database import Database


def metrics(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    url: UrlOption = None,
) -> None:
    """Show sessions by state, and rows, dead rows and bytes of each table, from PostgreSQL's catalogue.

    What a program has counted it shows itself: `livingworld.metrics()`. Who waits for whom: `livingworld locks`.
    """

    async def work() -> None:
        async with chosen_database(url) as chosen:
            settings = chosen.settings.model_copy(update={"pool_size": 1})
            database = Database(create_engine(settings, chosen.url), settings)
            try:
                _show(await database.run(read_numbers, repeatable=True), as_json=as_json)
            finally:
                await database.close()

    interruption.run(work())


def _show(numbers: dict[str, list[dict[str, Any]]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(numbers, indent=2))
        return
    for each in numbers["sessions"]:
        typer.echo(f"sessions {each['state']}: {each['sessions']}, of these wait for a lock: {each['waiting']}")
    for each in numbers["tables"]:
        typer.echo(f"{each['name']}: about {each['rows']:,} rows, {each['dead_rows']:,} dead, {each['bytes']:,} bytes")
