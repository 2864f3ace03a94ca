"""All commands together, and what an error looks like from outside: one line, one exit code."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer
from alembic.script.revision import RevisionError
from alembic.util import CommandError

from livingworld.cli import db, demo, scripts
from livingworld.errors import InvalidInput, LivingWorldError

INVALID_INPUT = 2
FAILED = 1


def run() -> None:
    """Run one command; a LivingWorldError is one line on stderr and exit code 1, or 2 when the input was wrong."""
    _never_fail_to_print()
    try:
        _commands()()
    except LivingWorldError as error:
        _end(str(error), INVALID_INPUT if isinstance(error, InvalidInput) else FAILED)
    except (CommandError, RevisionError) as error:
        _end(f"the database is at a revision that this release does not have: {error}", FAILED)


def _end(message: str, code: int) -> NoReturn:
    typer.echo(f"livingworld: {' '.join(message.split())}", err=True)
    raise SystemExit(code) from None


def _commands() -> typer.Typer:
    commands = typer.Typer(
        help="Worlds and stories in PostgreSQL that many writers can share.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    commands.add_typer(db.commands, name="db")
    commands.add_typer(scripts.commands, name="scripts")
    commands.command("demo")(demo.demo)
    return commands


def _never_fail_to_print() -> None:
    """Let a terminal without Unicode show question marks: a story must not end in UnicodeEncodeError."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
