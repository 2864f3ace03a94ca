"""All commands, and the form of their errors: one line, one exit code."""

from __future__ import annotations

import asyncio
import gc
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

import typer
from alembic.script.revision import RevisionError
from alembic.util import CommandError

from livingworld.cli.interruption import INTERRUPTED, interruption
from livingworld.demo.world_stays import WorldStays
from livingworld.errors import InvalidInput, LivingWorldError
from livingworld.inputs import one_line

DONE: Final = 0
FAILED: Final = 1
INVALID_INPUT: Final = 2
#: The modules of this package that are groups of commands, and those that are one.
_GROUPS: Final = ("db", "scripts", "world")
_SINGLE: Final = ("demo", "doctor", "locks", "metrics", "stress")


def run() -> None:
    """Run one command and end the process: one line on stderr and exit code 1 for an error, or 2 for wrong input.

    After Ctrl-C the code is 130, and no error is printed.
    """
    interruption.listen()
    _never_fail_to_print()
    complaint, code = _outcome()
    if complaint is not None:
        typer.echo(f"livingworld: {one_line(' '.join(complaint.split()))}", err=True)
    raise SystemExit(code)


def _outcome() -> tuple[str | None, int]:
    """Run the command and return the line to print and the exit code."""
    complaint, code = None, DONE
    try:
        commands = all_commands(sys.argv[1:2])
        gc.freeze()
        gc.enable()  # after the imports: `main` has stopped it before them
        commands()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else DONE
    except LivingWorldError as error:
        complaint, code = str(error), INVALID_INPUT if isinstance(error, InvalidInput) else FAILED
        if interruption.happened and not isinstance(error, WorldStays):
            complaint = None
    except (CommandError, RevisionError) as error:
        complaint, code = f"the database is at a revision that this release does not have: {error}", FAILED
    except asyncio.CancelledError:
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a defect: one line too, with its place in the code
        complaint, code = None if interruption.happened else _defect(error), FAILED
    return complaint, INTERRUPTED if interruption.happened else code


def _defect(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames if "livingworld" in frame.filename]
    return f"this is a defect, please report it: {type(error).__name__} at {' < '.join(reversed(ours[-4:]))}"


def all_commands(first_word: Sequence[str] = ()) -> typer.Typer:
    """Return every command, as one; or only the one that the command line begins with, since imports take long."""
    commands = typer.Typer(
        help="Worlds and stories in PostgreSQL that many writers can share.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    commands.callback()(_nothing)  # with it, one command alone keeps its name
    named = [name for name in first_word if name in {*_GROUPS, *_SINGLE}]
    for name in named or [*_GROUPS, *_SINGLE]:
        module = import_module(f"livingworld.cli.{name}")
        if name in _GROUPS:
            commands.add_typer(module.commands, name=name)
        else:
            commands.command(name)(getattr(module, name))
    return commands


def _nothing() -> None:
    pass


def _never_fail_to_print() -> None:
    """Print question marks on a terminal without Unicode, instead of raising UnicodeEncodeError."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
