"""`livingworld db downgrade`: shows what it would destroy, refuses unless that is allowed, and asks."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from livingworld.cli.confirmation import confirmed
from livingworld.cli.database_choice import LockTimeoutOption, UrlOption, database_to_migrate
from livingworld.cli.interruption import interruption
from livingworld.cli.migration_report import planned, summary
from livingworld.errors import DataWouldBeLost, InvalidInput
from livingworld.postgres import migrations
from livingworld.postgres.migration_run import Migrated


def downgrade(
    revision: Annotated[
        str, typer.Argument(help="The revision to go back to; `base` removes every table and every story.")
    ],
    destroy_data: Annotated[bool, typer.Option("--destroy-data", help="Go back although stored data is lost.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; needed where there is no terminal.")] = False,
    lock_timeout: LockTimeoutOption = None,
    url: UrlOption = None,
) -> None:
    """Take the tables back to an older revision: refused where data would be lost, and never without confirmation."""

    async def work() -> str:
        async with database_to_migrate(url, lock_timeout) as database:
            limit = database.settings.migration_lock_timeout
            plan = await migrations.preview_downgrade(database.url, revision, lock_timeout=limit)
            if plan.revisions:
                _refuse(plan, database.name, destroy_data=destroy_data)
                await _ask(plan, database.name, yes=yes)
            done = await migrations.downgrade(database.url, revision, destroy_data=destroy_data, lock_timeout=limit)
            return summary(database.name, "downgraded", done, await migrations.status(database.url))

    typer.echo(interruption.run(work()))


def _refuse(plan: Migrated, name: str, *, destroy_data: bool) -> None:
    if plan.lost and not destroy_data:
        message = f"{name}: nothing was changed, because {planned(plan)}; --destroy-data allows it"
        raise DataWouldBeLost(message)


async def _ask(plan: Migrated, name: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        field = "--yes"
        raise InvalidInput(field, f"is needed where there is no terminal to ask at; {name}: {planned(plan)}")
    typer.echo(f"{name}: {planned(plan)}.")
    if not await confirmed("Go on?"):
        typer.echo("Nothing was changed.")
        raise typer.Exit(1)
