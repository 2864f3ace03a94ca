"""Large products of cases: each commit tries another part of them, and `make soak` tries the whole.

`LIVINGWORLD_TEST_PART` is a number, or `all`; without it the number is the digest of the commit.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeVar

import pytest

T = TypeVar("T")

VARIABLE: Final = "LIVINGWORLD_TEST_PART"
ALL: Final = "all"
_PARTS: Final = 10_000


def _part_of_the_commit() -> str:
    """Return a number that another commit seldom has; 0 outside of a repository."""
    head = subprocess.run(
        ["git", "rev-parse", "--verify", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return str(int(head.stdout or "0", 16) % _PARTS)


#: What is tried in this session.
PART: Final = os.environ.get(VARIABLE) or _part_of_the_commit()
WHOLE: Final = PART == ALL


def rotated(cases: Sequence[T], parts: int, part: str = PART) -> Sequence[T]:
    """Return the cases to try: every so many of them, or all. The parts from 0 to `parts` - 1 have each case once."""
    return cases if part == ALL else cases[int(part) % parts :: parts]


def pytest_report_header() -> str:
    return f"{VARIABLE}={PART}: that part of what rotates; 'all' tries the whole"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if terminalreporter.stats.get("failed"):
        terminalreporter.write_line(f"{VARIABLE}={PART} tries the same part of what rotates again.")
