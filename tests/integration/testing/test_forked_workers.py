"""The workers of xdist are forks of one process that has imported the tests; one that dies is replaced by another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_server
CHECKOUT = Path(__file__).parents[3]
TESTS = """
import os, pathlib, signal, time
import pytest

told = pathlib.Path({told!r})
with (told / "imported").open("a") as imported:
    imported.write("x")


@pytest.mark.parametrize("number", range(20))
def test_by_a_worker(number):
    place = told / os.environ["PYTEST_XDIST_WORKER"]
    place.write_text(str(os.getppid()))


@pytest.mark.slow
def test_that_ends_its_worker():
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_tests_are_imported_once_and_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    folder, told = tmp_path / "Märchen tests", tmp_path / "told"
    folder.mkdir()
    told.mkdir()
    (folder / "test_workers.py").write_text(TESTS.format(told=str(told)), encoding="utf-8")
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    options = ["-n", "2", "-p", "tests.support.forked_workers", "-p", "no:cacheprovider", "-p", "no:randomly"]
    session = subprocess.run(
        [sys.executable, "-m", "pytest", "--rootdir", str(folder), *options, "-W", "ignore", str(folder)],
        cwd=folder,
        env=ours | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert "1 failed, 20 passed" in session.stdout, session.stdout + session.stderr
    assert (told / "imported").read_text() == "x"
    parents = {place.read_text() for place in told.glob("gw*")}
    assert len(parents) == 1
    assert {"gw0", "gw1"} & {place.name for place in told.glob("gw*")}
