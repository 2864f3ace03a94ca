"""`livingworld locks`: who holds what and who waits for whom, in every session of a database."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated, Final

import typer

from livingworld import LivingWorld, LockReport
from livingworld.cli.database_choice import UrlOption, chosen_database
from livingworld.cli.interruption import interruption
from livingworld.cli.lock_lines import lock_lines
from livingworld.inputs import one_line

_CLEAR: Final = "\x1b[2J\x1b[H"


def locks(
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option("--every", metavar="SECONDS", min=0.1, help="Pause with --watch.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each look.")] = False,
    url: UrlOption = None,
) -> None:
    """Show who holds which lock and who waits for it, by story, turn and request key.

    A line for each chain, its root first, from every session of the database. Locks and ends nothing.
    """

    async def work() -> None:
        async with chosen_database(url) as database:
            # One of its own: it must get through where all connections of the application wait.
            settings = database.settings.model_copy(update={"pool_size": 1, "index_words": False})
            async with LivingWorld.open(settings) as livingworld:
                while True:
                    _show(await livingworld.locks(), as_json=as_json, clear=watch)
                    if not watch:
                        return
                    await asyncio.sleep(every)

    interruption.run(work())


def _show(report: LockReport, *, as_json: bool, clear: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=None if clear else 2))
    else:
        start = _CLEAR if clear and sys.stdout.isatty() else ""
        typer.echo(start + "\n".join(map(one_line, lock_lines(report))))
    sys.stdout.flush()
