"""The suite that users run against their own server passes here, and the page says what each of its tests proves."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

import pytest

from livingworld.testing import conformance
from tests.support.command import environment_in_role
from tests.support.pooler import PGBOUNCER, pooled
from tests.support.run_role import url_of_the_run

SUITE: Final = Path(conformance.__file__).parent
PAGE: Final = Path(__file__).parents[2] / "docs/guides/stress.md"
#: The server of the test run is not durable, and that is what this one is about.
UNLESS_DURABLE: Final = "not survives_a_crash"


def run_suite(url: str, folder: Path, **settings: str) -> str:
    suite = [sys.executable, "-m", "pytest", "-q", "--pyargs", "livingworld.testing.conformance", "-k", UNLESS_DURABLE]
    environment = environment_in_role(url) | settings | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(suite, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def behind_a_pooler(database_url: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Give the URL of a pooler, and the settings that it needs."""
    if PGBOUNCER is None:
        pytest.skip("there is no pgbouncer (Debian's package, which .ci/run installs)")
    with pooled(database_url, sessions=8) as url:
        direct = url_of_the_run(database_url)
        yield url, {"LIVINGWORLD_BEHIND_POOLER": "true", "LIVINGWORLD_DIRECT_DATABASE_URL": direct}


@pytest.mark.slow
@pytest.mark.rotates(parts=2)
@pytest.mark.parametrize("way", ["in a folder without settings", "through a pooler"])
def test_the_suite_passes(database_url: str, tmp_path: Path, way: str) -> None:
    straight: tuple[str, dict[str, str]] = database_url, {}
    with behind_a_pooler(database_url) if way == "through a pooler" else nullcontext(straight) as (url, settings):
        assert "17 passed, 1 deselected" in run_suite(url, tmp_path, **settings)


def test_the_page_says_what_each_test_proves() -> None:
    page = PAGE.read_text(encoding="utf-8")
    tests = [
        node
        for path in SUITE.glob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]

    assert len(tests) == 18
    for test in tests:
        proof = (ast.get_docstring(test) or "").removeprefix("Prove ")
        assert f"| `{test.name}` | {proof} |" in page
