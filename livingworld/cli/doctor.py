"""`livingworld doctor`: show what is wrong in a database, and repair what is safe to repair."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import typer

from livingworld.cli.database_choice import UrlOption, chosen_database
from livingworld.cli.interruption import interruption
from livingworld.doctor import Doctor, Finding, Repaired


def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Repair what is safe, after showing the plan.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    world: Annotated[UUID | None, typer.Option("--world", help="Examine this world only, not the database.")] = None,
    url: UrlOption = None,
) -> None:
    """Look for damage: what is wrong, what it means for stories, what a repair does; exit code 1 while any is left."""

    async def work() -> bool:
        async with (
            chosen_database(url) as database,
            Doctor.open(database.settings, database_url=database.url) as opened,
        ):
            found = await opened.examine(world)
            if not as_json:
                _show(found)
            safe = [finding for finding in found if repair and finding.repairable]
            done = [await opened.repair(finding) for finding in safe]
            left = await opened.examine(world) if done else found
            _report(found, done, left, as_json=as_json)
            return bool(left)

    raise typer.Exit(1 if interruption.run(work()) else 0)


def _show(found: tuple[Finding, ...]) -> None:
    for finding in found:
        where = "the database" if finding.world_id is None else f"world {finding.world_id}"
        typer.echo(f"{finding.check} in {where}: {finding.count}")
        typer.echo(f"  wrong:  {finding.wrong}\n  means:  {finding.meaning}\n  repair: {finding.repair}")
        for example in finding.as_json()["examples"]:
            typer.echo("  - " + ", ".join(f"{name} {json.dumps(value)}" for name, value in example.items()))


def _report(found: tuple[Finding, ...], done: list[Repaired], left: tuple[Finding, ...], *, as_json: bool) -> None:
    if as_json:
        lists: dict[str, Sequence[Finding | Repaired]] = {"findings": found, "repairs": done, "left": left}
        typer.echo(json.dumps({name: [each.as_json() for each in items] for name, items in lists.items()}, indent=2))
        return
    for each in done:
        reason = f": {each.reason}" if each.reason else ""
        typer.echo(f"{each.finding.check}: repaired {each.repaired}, left {each.left}{reason}")
    typer.echo(f"{len(left)} findings are left" if left else "nothing is wrong")
