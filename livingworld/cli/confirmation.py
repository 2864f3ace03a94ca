"""A question on the terminal, which Ctrl-C ends like everything else that a command waits for."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import typer

_YES: Final = frozenset({"y", "yes"})


async def confirmed(question: str) -> bool:
    """Ask on the terminal, and return whether the line that is typed is "y" or "yes"; the end of input is a no.

    The event loop waits for the line: `input()` would block it, and loses a Ctrl-C that comes just before it blocks.
    """
    typer.echo(f"{question} [y/N]: ", nl=False)
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline().strip().lower() in _YES
