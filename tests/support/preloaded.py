"""What the process that forks commands and programs imports once, in place of each fork: up to a second and a half.

The garbage collector of a fork does not look at it.
"""

from __future__ import annotations

import contextlib
import gc
from importlib import import_module
from typing import Final

_COMMANDS: Final = ("db", "demo", "doctor", "locks", "metrics", "scripts", "stress", "world")
_MODULES: Final = (
    "livingworld.app.livingworld",
    "livingworld.cli.command_line",
    *(f"livingworld.cli.{name}" for name in _COMMANDS),
    "tests.examples.preloaded",
    "tests.concurrency.programs",  # with what a fork would import to find what it runs: 0.2 s
)

gc.disable()
for _module in _MODULES:
    with contextlib.suppress(ImportError):  # the packages of an extra are not installed: nothing of it is run
        import_module(_module)
gc.freeze()
gc.enable()
