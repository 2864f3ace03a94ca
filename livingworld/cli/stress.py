"""`livingworld stress`: every write at once, with faults, on a database of the user's; the history decides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import URL

from livingworld.cli.database_choice import UrlOption
from livingworld.cli.interruption import interruption
from livingworld.embedded_server import EmbeddedServer
from livingworld.inputs import one_line
from livingworld.postgres import migrations
from livingworld.settings.database_url import parse_url
from livingworld.settings.settings import Settings
from livingworld.testing.remover import remove
from livingworld.testing.stress.observing import direct_url
from livingworld.testing.stress.plan import Fault, Plan, parse_faults
from livingworld.testing.stress.result import StressResult
from livingworld.testing.stress.run import run_stress
from livingworld.testing.throw_away_directory import throw_away_directory

_FAULTS: Final = ",".join(Fault)


def stress(
    seconds: Annotated[float, typer.Option(help="How long to play, in all.")] = 60,
    writers: Annotated[int, typer.Option(help="How many write at once.")] = 8,
    processes: Annotated[int, typer.Option(help="In how many processes.")] = 2,
    faults: Annotated[str, typer.Option(help="Which faults to inject; empty: none.")] = _FAULTS,
    seed: Annotated[int, typer.Option(help="Chooses when faults happen.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    url: UrlOption = None,
) -> None:
    """Attack a database with every write at once, under faults, and check by the whole history that nothing was lost.

    Works in worlds of its own. Without a database a server is started for the run, which may be killed. Exit code 1
    when a promise was broken.
    """
    plan = Plan(seconds, writers, processes, parse_faults(faults), seed)

    async def work() -> StressResult:
        async with _database(url) as (chosen, server):
            text = chosen.render_as_string(hide_password=False)
            await migrations.upgrade_if_behind(direct_url(text))
            began = (lambda _: None) if as_json else (lambda phase: typer.echo(f"phase: {phase}", err=True))
            return await run_stress(text, plan, server=server, began=began)

    result = interruption.run(work())
    typer.echo(json.dumps(result.as_json())) if as_json else _print(result)
    raise typer.Exit(0 if result.kept else 1)


@asynccontextmanager
async def _database(url: str | None) -> AsyncIterator[tuple[URL, EmbeddedServer | None]]:
    """Yield the database of `--url` or the environment, else that of a durable server which ends with the block."""
    settings = Settings.load(**({} if url is None else {"database_url": url}))
    if (named := settings.url()) is not None:
        yield named, None
        return
    home = throw_away_directory("livingworld-stress-")
    server = EmbeddedServer(home, conf={"max_connections": "200"})
    try:
        await asyncio.to_thread(server.start)
        yield parse_url(server.url()), server
    finally:
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(remove, home)


def _print(result: StressResult) -> None:
    rows = [phase.row() for phase in result.phases]
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)
    for fault, reason in result.left_out.items():
        typer.echo(f"left out: {fault.value}: {reason}")
    for line in result.as_json()["anomalies"]:
        typer.echo(one_line(line))
    typer.echo("every promise was kept" if result.kept else "a promise was BROKEN")
