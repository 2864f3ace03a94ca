"""A process that has imported what every run of tests imports, and forks for each: it runs in a copy of the checkout.

It reads orders, a JSON object a line, and answers each by two lines: the process of the run, and then its exit code.
Nothing of the copy is imported before the fork, and no plugin of pytest, whose assertions are rewritten.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any, Final, NoReturn

import pytest

_IMPORTED: Final = (
    "sqlalchemy.ext.asyncio",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "asyncpg",
    "psycopg",
    "psycopg.sql",
    "jinja2",
    "psutil",
    "tenacity",
)


def main() -> None:
    """Carry out orders until there are no more."""
    for name in _IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        _carry_out(json.loads(line))


def _carry_out(order: dict[str, Any]) -> None:
    sys.stdout.flush()
    run = os.fork()
    if run == 0:
        _run(order)
    _answer(run)
    _, status = os.waitpid(run, 0)
    _answer(os.waitstatus_to_exitcode(status))


def _run(order: dict[str, Any]) -> NoReturn:
    """Run pytest in this process and end it."""
    os.setsid()
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for given, standard in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(given, standard)
    os.environ |= order["environment"]
    sys.exit(pytest.main(order["arguments"]))  # not at once: what has a directory for this process removes it


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
