"""The entry point of `livingworld`: outside the package, whose import takes a second, so Ctrl-C is quiet."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

#: What a shell reports for a program that Ctrl-C ended.
INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, leave)
    from livingworld.cli import main as run  # noqa: PLC0415 - the import that can be interrupted

    run()


def leave(*_: object) -> NoReturn:
    """End the process at once and silently: no exception passes through code that does not expect one."""
    os._exit(INTERRUPTED)
