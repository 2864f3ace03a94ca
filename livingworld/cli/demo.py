"""`livingworld demo`: many players write one world at once, and SQL checks whether anything was lost."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from livingworld.cli.database_choice import LockTimeoutOption, UrlOption, chosen_database
from livingworld.cli.interruption import interruption
from livingworld.demo.branching_story import demo_story
from livingworld.demo.page import print_page
from livingworld.demo.plan import Plan, plan_from_playthroughs, plan_from_story
from livingworld.demo.playthroughs import read_playthroughs
from livingworld.demo.run import Outcome, run_demo
from livingworld.errors import LivingWorldError

_PLAYTHROUGHS: Final = typer.Option(
    metavar="FILE",
    exists=True,
    dir_okay=False,
    help="Play these, a JSON object a line. Default: the story of the package.",
)


def demo(
    playthroughs: Annotated[Path | None, _PLAYTHROUGHS] = None,
    players: Annotated[int, typer.Option(min=1, max=1000, help="Concurrent players, each in stories of its own.")] = 8,
    writers_per_story: Annotated[
        int, typer.Option(min=1, max=1000, help="Writers that compete for one shared story.")
    ] = 4,
    think_time: Annotated[
        float, typer.Option(min=0, max=60, metavar="SECONDS", help="How long the model takes for a scene.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    purge: Annotated[bool, typer.Option("--purge", help="Remove the world afterwards.")] = False,
    lock_timeout: LockTimeoutOption = None,
    url: UrlOption = None,
) -> None:
    """Let many players write one world at once and check by SQL that nothing was lost or doubled."""
    plan = _plan(playthroughs, players, writers_per_story)

    async def work() -> Outcome:
        async with chosen_database(url, lock_timeout=lock_timeout) as database:
            with _progress(hidden=as_json) as progress:
                task = progress.add_task("writing", total=plan.scenes + plan.detours)
                thinking = timedelta(seconds=think_time)
                where, step = (database.settings, database.url), partial(progress.advance, task)
                run = run_demo(*where, plan, step, think_time=thinking, purge=purge)
                return await _flat(run)

    outcome = interruption.run(work())
    _print(outcome, plan, as_json=as_json, purge=purge)
    raise typer.Exit(1 if outcome.report.broken else 0)


def _print(outcome: Outcome, plan: Plan, *, as_json: bool, purge: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_summary(outcome, plan)))
        return
    print_page(Console(), plan, outcome.report, outcome.nodes)
    typer.echo(f"world {outcome.world_id} " + ("was removed" if purge else "stays; --purge removes it"))


def _plan(playthroughs: Path | None, players: int, writers: int) -> Plan:
    if playthroughs is None:
        return plan_from_story(demo_story(), players=players, writers=writers)
    played = read_playthroughs(playthroughs)
    # A file's name may hold undecodable bytes, as lone surrogates; a title may not.
    title = os.fsencode(playthroughs.stem[:200]).decode(errors="replace").strip() or "Play-throughs"
    return plan_from_playthroughs(played, title, players=players, writers=writers)


def _progress(*, hidden: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), disable=hidden)


def _summary(outcome: Outcome, plan: Plan) -> dict[str, Any]:
    return {
        "world_id": str(outcome.world_id),
        "players": len(plan.solos),
        "writers_per_story": plan.writers,
        "promises_kept": not outcome.report.broken,
        **outcome.report.as_json(),
        "elapsed_seconds": round(outcome.elapsed.total_seconds(), 3),
    }


async def _flat(run: Awaitable[Outcome]) -> Outcome:
    """Run the demo; when several players fail at once, raise one of their errors."""
    try:
        return await run
    except BaseExceptionGroup as group:
        errors = group.subgroup(LivingWorldError)
        if errors is None:
            raise
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
    raise first
