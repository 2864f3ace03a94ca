"""A test that hangs fails alone and in time, in a worker of xdist too, and reports what everything was doing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from livingworld.testing.server import ServerAddress

pytestmark = [pytest.mark.any_server, pytest.mark.xdist_group("a session that hangs")]
HANGING = Path(__file__).with_name("hanging_tests.py")
CHECKOUT = Path(__file__).parents[3]
OPTIONS = ["-n", "1", "-p", "tests.support.time_limits", "-p", "livingworld.testing.fixtures", "-p", "no:randomly"]
OPTIONS += ["-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "-o", "timeout_grace=1", "-W", "ignore", "-rA"]


@pytest.fixture(scope="module")
def printed(postgresql_server: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("session")
    (folder / "test_hanging.py").write_text(HANGING.read_text())
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "LIVINGWORLD_TEST_ROLE"))
    }
    dsn = postgresql_server.url(postgresql_server.maintenance_dbname)
    session = subprocess.run(
        [sys.executable, "-m", "pytest", "--rootdir", str(folder), *OPTIONS, str(folder)],
        cwd=folder,
        env=ours | {"LIVINGWORLD_TEST_DSN": dsn, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert session.returncode == 1, session.stdout + session.stderr
    return session.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("outcome", "name"),
    [
        ("FAILED", "test_that_waits_for_a_task"),
        ("FAILED", "test_that_waits_for_a_row"),
        ("FAILED", "test_that_cannot_be_cancelled"),
        ("FAILED", "test_that_keeps_the_loop"),
        ("FAILED", "test_that_waits_for_a_program"),
        ("ERROR", "test_with_a_fixture_that_hangs"),
        ("ERROR", "test_with_a_teardown_that_hangs"),
        ("ERROR", "test_that_fails_before_its_teardown_hangs"),
        ("PASSED", "test_that_comes_last"),
        ("PASSED", "test_that_is_slow_begins_first"),
    ],
)
def test_what_hangs_fails_alone(printed: str, outcome: str, name: str) -> None:
    assert re.search(rf"^{outcome} test_hanging.py::{name}\b", printed, re.MULTILINE), printed


@pytest.mark.slow
@pytest.mark.parametrize(
    "told",
    [
        r"TimeLimitReached: The test took longer than 2 s\.",
        r"the bell of the cellar\nE +File .*, in for_ever: await asyncio\.Event\(\)\.wait\(\)",
        r"E +MainThread\nE +File",
        r"E .*, in never_there\nE +threading\.Event\(\)\.wait\(\)",
        r"E .*, in never_gone\nE +threading\.Event\(\)\.wait\(\)",
        r"E +\d+ active for .*, waits for Lock:advisory, blocked by \[\d+\]: SELECT pg_advisory_xact_lock\(7\)",
    ],
)
def test_what_hangs_is_reported(printed: str, told: str) -> None:
    assert re.search(told, printed), printed


def test_a_group_runs_in_one_worker(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("loadgroup", default=False):
        pytest.skip("no worker of --dist loadgroup runs it")

    # xdist hands out tests by this name; a pytest that ignores it runs the session above once for each worker.
    assert request.node.nodeid.endswith("@a session that hangs")
