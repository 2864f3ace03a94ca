"""`livingworld world`: what is done to one world."""

from __future__ import annotations

import typer

from livingworld.cli.bundles import export_world, import_world, verify
from livingworld.cli.erase import erase

commands = typer.Typer(
    help="Take one world out into a file and put it back, or erase what a person wrote in it.", no_args_is_help=True
)
commands.command("export")(export_world)
commands.command("import")(import_world)
commands.command()(verify)
commands.command()(erase)
