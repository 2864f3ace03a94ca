"""A part of a product is the same for the same number, and the parts together are the whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.rotation import ALL, VARIABLE, rotated

CASES = list(range(103))


@pytest.mark.parametrize("parts", [1, 4, 97, 200])
def test_the_parts_have_each_case_once(parts: int) -> None:
    tried = [case for number in range(parts) for case in rotated(CASES, parts, str(number))]

    assert sorted(tried) == CASES


def test_a_part_is_every_so_many_and_all_is_all() -> None:
    assert rotated(CASES, 50, "1203") == [3, 53]
    assert rotated(CASES, 50, ALL) == CASES


@pytest.mark.parametrize(("given", "part"), [({VARIABLE: "12"}, "12"), ({VARIABLE: "all"}, "all")])
def test_the_variable_decides(given: dict[str, str], part: str) -> None:
    assert part_in(given) == part


def test_a_commit_has_one_part() -> None:
    without: dict[str, str] = {}

    assert part_in(without) == part_in(without)
    assert int(part_in(without)) in range(10_000)


def part_in(given: dict[str, str]) -> str:
    """Return what another session would try."""
    others = {name: value for name, value in os.environ.items() if name != VARIABLE}
    look = "from tests.support.rotation import PART; print(PART)"
    asked = subprocess.run(
        [sys.executable, "-c", look],
        cwd=Path(__file__).parents[2],
        env=others | given,
        capture_output=True,
        text=True,
        check=True,
    )
    return asked.stdout.strip()
