"""The `livingworld` command: parse, call, print. One file for each group of commands."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line; without the extra `cli`, print how to install it and exit with 1."""
    # alembic's Mako would import hundreds of lexers, for pages that are never shown: an eighth of a command's start.
    sys.modules.setdefault("mako.ext.pygmentplugin", None)  # type: ignore[arg-type] # "not there", as Mako expects it
    gc.disable()  # what is imported stays; to look at it again and again is a seventh of a command's start
    try:
        import rich  # noqa: F401, PLC0415 - commands import what prints later, and must not fail half-way

        from livingworld.cli.command_line import run  # noqa: PLC0415 - typer and rich are an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"typer", "rich"}:
            raise
        sys.stderr.write("the livingworld command needs an extra: pip install 'livingworld[cli]'\n")
        raise SystemExit(1) from None
    run()
