"""A test run that is killed leaves no server, no directory and no shared memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import make_url

from livingworld.embedded_server import find_binaries
from livingworld.errors import EmbeddedServerFailed
from tests.support.embedded_servers import needs_linux, process_state, server_process, wait_for

pytestmark = [needs_linux, pytest.mark.slow, pytest.mark.any_server]
CHECKOUT: Final = Path(__file__).parents[3]
PATIENCE: Final = timedelta(minutes=5)
SEGMENTS: Final = Path("/proc/sysvipc/shm")
CONFTEST: Final = """
from livingworld.testing.throw_away_directory import end_programs_with_this_process

pytest_plugins = ["livingworld.testing.fixtures"]
end_programs_with_this_process()
"""
#: Each says where its server is, and then waits to be killed.
TESTS: Final = """
import os, pathlib, subprocess, threading
import contextlib
import pytest
from tests.support.pooler import PGBOUNCER, pooled

@pytest.mark.parametrize("number", range(4))
def test_that_hangs(database_url, number):
    program = subprocess.Popen(["sleep", "600"], start_new_session=True)
    told = pathlib.Path({told!r}, f"{{os.getpid()}}")
    told.with_suffix(".program").write_text(str(program.pid))
    pooler = contextlib.ExitStack()
    if PGBOUNCER is not None:
        told.with_suffix(".pooler").write_text(pooler.enter_context(pooled(database_url, sessions=1)))
    told.with_suffix(".part").write_text(database_url)
    told.with_suffix(".part").rename(told)
    threading.Event().wait()
"""


class Run:
    """A test run of which each process hangs in its first test, on a server of its own."""

    def __init__(self, process: subprocess.Popen[bytes], told: Path, servers: int) -> None:
        self.process = process
        wait_for(lambda: len(list(told.glob("[0-9]*[0-9]"))) == servers, PATIENCE)
        found = {int(file.name): make_url(file.read_text()) for file in told.glob("[0-9]*[0-9]")}
        #: The directory of each server, by the process that has it.
        self.homes = {process: Path(str(url.query["host"])).parents[1] for process, url in found.items()}
        #: The directory of the pooler of each, where there is one.
        self.poolers = [Path(str(make_url(file.read_text()).query["host"])) for file in told.glob("*.pooler")]
        #: What a test started.
        self.programs = [int(file.read_text()) for file in told.glob("*.program")]
        self._shared_memory = [path for home in self.homes.values() for path in shared_memory(home)]
        assert self._shared_memory

    def leaves_nothing(self, homes: list[Path]) -> bool:
        return not any(home.exists() for home in homes)

    def leaves_no_shared_memory(self) -> bool:
        segments = {tuple(line.split()[:2]) for line in SEGMENTS.read_text().splitlines()}
        return not any(name.exists() if isinstance(name, Path) else name in segments for name in self._shared_memory)


def shared_memory(home: Path) -> list[Path | tuple[str, str]]:
    """Return the files in memory and the segment of the server in `home`."""
    (pid_file,) = home.rglob("postmaster.pid")
    process = server_process(pid_file.parent)
    maps = Path(f"/proc/{process}/maps").read_text().splitlines()
    files = [Path(line.split(maxsplit=5)[-1]) for line in maps if "/shm/" in line]
    key, identifier = pid_file.read_text().splitlines()[6].split()
    return [*files, (key, identifier)]


@contextmanager
def hanging_run(tmp_path: Path, *options: str, servers: int) -> Iterator[Run]:
    told = tmp_path / "told"
    told.mkdir()
    (tmp_path / "test_hanging.py").write_text(TESTS.format(told=str(told)))
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    environment = {name: value for name, value in os.environ.items() if name != "LIVINGWORLD_TEST_DSN"}
    environment["PYTHONPATH"] = str(CHECKOUT)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", *options]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield Run(process, told, servers)
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def needs_binaries() -> None:
    try:
        find_binaries()
    except EmbeddedServerFailed as error:
        pytest.skip(str(error))


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize(("options", "servers"), [((), 1), (("-n", "2"), 2)], ids=["one process", "controller of two"])
def test_a_killed_run_leaves_nothing(
    tmp_path: Path, ending: signal.Signals, options: tuple[str, ...], servers: int
) -> None:
    with hanging_run(tmp_path, *options, servers=servers) as run:
        run.process.send_signal(ending)

        wait_for(lambda: run.leaves_nothing([*run.homes.values(), *run.poolers]), PATIENCE)
        assert run.leaves_no_shared_memory()
        assert not [program for program in run.programs if process_state(program) not in {None, "Z"}]


def test_a_killed_worker_of_a_run_leaves_nothing(tmp_path: Path) -> None:
    with hanging_run(tmp_path, "-n", "2", servers=2) as run:
        worker, home = next(iter(run.homes.items()))
        os.kill(worker, signal.SIGKILL)

        wait_for(lambda: run.leaves_nothing([home]), PATIENCE)


def test_a_run_whose_server_was_killed_leaves_nothing(tmp_path: Path) -> None:
    with hanging_run(tmp_path, servers=1) as run:
        (home,) = run.homes.values()
        process = server_process(next(home.rglob("PG_VERSION")).parent)
        assert process is not None
        os.kill(process, signal.SIGKILL)
        run.process.kill()

        wait_for(lambda: run.leaves_nothing([home]), PATIENCE)
        assert run.leaves_no_shared_memory()
