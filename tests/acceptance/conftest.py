from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.embedded_servers import kill, make_home, server_process

#: What a newcomer has not set: variables of the library, of the desktop, of libpq, and of a `make` that runs the tests.
_SET_UP = ("LIVINGWORLD_", "XDG_", "PG", "MAKE", "MFLAGS", "ARGS")


@pytest.fixture
def fresh_home() -> Iterator[Path]:
    """Give a path where nothing is yet, for the embedded server of a newcomer; one that a test left there is ended."""
    place = make_home()
    yield place / "not there yet"
    for pid_file in place.rglob("postmaster.pid"):
        if process := server_process(pid_file.parent):
            kill(process, signal.SIGQUIT)
    shutil.rmtree(place)


@pytest.fixture
def newcomer(fresh_home: Path) -> dict[str, str]:
    """Return the environment of a new user: no URL, and home directories that do not exist yet."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(_SET_UP)}
    binaries = {name: value for name, value in os.environ.items() if name == "LIVINGWORLD_PG_BIN"}
    user = str(fresh_home.with_name("user"))
    homes = {"HOME": user, "XDG_DATA_HOME": f"{user}/data", "XDG_CONFIG_HOME": f"{user}/config"}
    return ours | binaries | homes | {"LIVINGWORLD_HOME": str(fresh_home), "PYTHONUTF8": "1"}
