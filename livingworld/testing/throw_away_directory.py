"""Directories and programs of tests: both end with the test run, even with a killed one."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import IO, Final

from livingworld.embedded_server.supervision import python_interpreter
from livingworld.testing import remover

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
_MEMORY_NEEDED: Final = 1 << 30
_MARK: Final = "STARTED_BY_THE_TEST_RUN"


def throw_away_directory(prefix: str) -> Path:
    """Make a directory, in memory where there is room, that the user of PostgreSQL can enter.

    It is removed when this process has ended, however it ended; `remover.remove` removes it earlier.
    """
    # Each database is 300 files: 15 ms in memory, up to 450 ms on a disk. The user of PostgreSQL cannot
    # enter pytest's own temporary directories when the tests run as root.
    in_memory = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _MEMORY_NEEDED
    directory = Path(_MEMORY if in_memory else tempfile.gettempdir(), f"{prefix}{secrets.token_hex(6)}")
    _order("directory", str(directory))  # first: this process may be killed at any moment
    directory.mkdir(mode=0o700)
    directory.chmod(0o755)
    return directory


def end_programs_with_this_process() -> None:
    """End every program that this process starts from now on with this process, however it ends."""
    mark = secrets.token_hex(16)
    _order("mark", f"{_MARK}={mark}")
    os.environ[_MARK] = mark


def _order(kind: str, value: str) -> None:
    orders = _remover(os.getpid())
    orders.write(os.fsencode(f"{kind} {value}\n"))
    orders.flush()


@cache
def _remover(_process: int) -> IO[bytes]:
    """Return the standard input of this process's remover, which the kernel closes when this process ends."""
    program = [str(python_interpreter()), "-I", "-S", "-B", str(remover.__file__)]
    process = subprocess.Popen(  # noqa: S603 - our own program
        program,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={
            name: value for name, value in os.environ.items() if name != _MARK
        },  # without it: the end of another process must not end the remover
        start_new_session=True,
    )
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    atexit.register(process.wait)
    atexit.register(process.stdin.close)  # runs first
    return process.stdin
