"""`livingworld world`: what is done to one world."""

from __future__ import annotations

import typer

from livingworld.cli.archive import archive, unarchive
from livingworld.cli.bundles import export_world, import_world, verify
from livingworld.cli.erase import erase

commands = typer.Typer(
    help="Take one world or its finished stories out into files and put them back, or erase what a person wrote.",
    no_args_is_help=True,
)
commands.command("export")(export_world)
commands.command("import")(import_world)
commands.command()(verify)
commands.command()(archive)
commands.command()(unarchive)
commands.command()(erase)
