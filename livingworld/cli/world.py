"""`livingworld world`: what is done to one world."""

from __future__ import annotations

import typer

from livingworld.cli.erase import erase

commands = typer.Typer(help="Erase what a person wrote in a world.", no_args_is_help=True)
commands.command()(erase)
