"""Importing the package costs no more than its budget: what only an open database needs waits until then."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from tests.budgets.test_budgets import over_budget

_FILE: Final = Path(__file__).with_name("budgets.toml")
_PROGRAM: Final = Path(__file__).with_name("import_program.py")
_LINES: Final = ("import livingworld", "from livingworld import LivingWorld, NewScene")
#: A tenth of a second each, or more, for who opens nothing.
_LATER: Final = {"sqlalchemy.orm", "pydantic", "alembic", "email.parser", "tenacity", "structlog"}

pytestmark = pytest.mark.any_server


def imported(line: str) -> dict[str, Any]:
    """Return the function calls and the modules of an import, in a process that finds all of it compiled."""
    command = [sys.executable, str(_PROGRAM), line]
    for _ in range(2):
        answer = subprocess.run(command, check=True, capture_output=True)
    result: dict[str, Any] = json.loads(answer.stdout)
    return result


@pytest.mark.parametrize("line", _LINES)
def test_an_import_costs_no_more_than_its_budget(line: str) -> None:
    found = imported(line)
    costs = {line: {"function_calls": found["function_calls"], "modules": len(found["modules"])}}
    sys.stderr.write(f"{costs}\n")  # shown when the test fails

    assert _LATER.isdisjoint(found["modules"])
    assert over_budget(costs, tomllib.loads(_FILE.read_text())) == []
