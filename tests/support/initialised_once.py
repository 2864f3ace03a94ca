"""The first data of a server, and binaries that its user can reach, are made once for all tests of a run.

A server that a test or a worker needs begins with a copy: 0.1 s of CPU in place of 0.5 for initdb, and 0.2 more where
the checkout lies in a closed directory, whose binaries each home has a copy of. `@pytest.mark.first_start` is for tests
of the first start itself: their homes are empty. So are those of programs that are run as a newcomer runs them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from livingworld.embedded_server import EmbeddedServer, file_lock, find_binaries
from livingworld.embedded_server.binaries import read_major_version
from livingworld.embedded_server.data_directory import make_directory
from livingworld.embedded_server.deadline import Deadline
from livingworld.embedded_server.layout import Layout
from livingworld.embedded_server.server_account import ServerAccount
from livingworld.testing import server
from livingworld.testing.throw_away_directory import throw_away_directory

#: Where it is made: the processes of a run share it, and the first of them removes it.
_VARIABLE: Final = "INITIALISED_BY_THE_TEST_RUN"
_PATIENCE: Final = timedelta(minutes=5)


def pytest_configure(config: pytest.Config) -> None:
    """Name the place before workers are forked, and have the server of each begin with a copy."""
    if _VARIABLE not in os.environ:
        os.environ[_VARIABLE] = str(throw_away_directory("livingworld-initialised-"))
        config.add_cleanup(_forget)
    patch = pytest.MonkeyPatch()
    patch.setattr(server, "throw_away_directory", lambda prefix: with_data(throw_away_directory(prefix)))
    config.add_cleanup(patch.undo)


def _forget() -> None:
    del os.environ[_VARIABLE]


def with_data(home: Path) -> Path:
    """Give an empty home the data that the first start of a server makes there, and the binaries; return it."""
    binaries = find_binaries()
    made, given = _made(binaries), Layout(home.resolve(), _version(binaries))
    make_directory(given.directory, ServerAccount.choose(made.data))
    for copied in made.directory.glob("binaries-*"):
        (given.directory / copied.name).symlink_to(copied)
    subprocess.run(["cp", "-a", str(made.data), str(given.data)], check=True)
    return home


_version = cache(read_major_version)


@cache
def _made(binaries: Path) -> Layout:
    """Return where a server of these binaries was started and stopped once."""
    place = Path(os.environ[_VARIABLE], hashlib.sha256(os.fsencode(binaries)).hexdigest()[:12])
    place.mkdir(exist_ok=True)
    place.chmod(0o755)
    layout = Layout(place.resolve(), _version(binaries))
    complete = place / "complete"
    with file_lock.exclusive(place / "lock", Deadline(_PATIENCE)):
        if not complete.exists():
            shutil.rmtree(layout.directory, ignore_errors=True)  # of a process that was killed
            with EmbeddedServer(place, binaries=binaries, durable=False):
                pass
            complete.touch()
    return layout
