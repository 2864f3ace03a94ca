"""What tests of the embedded server ask and do to it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from livingworld.embedded_server import EmbeddedServer, file_lock
from livingworld.embedded_server.layout import PORT, Layout
from livingworld.testing.remover import remove
from livingworld.testing.throw_away_directory import throw_away_directory
from tests.support.patience import PATIENCE

needs_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root steps down to another user")


def make_home() -> Path:
    """Return a new directory, in memory where there is room, that goes with this process at the latest.

    Its name has what a shell splits and what ASCII lacks.
    """
    return throw_away_directory("livingworld hömes-")


def remove_home(home: Path) -> None:
    """Remove a home; a server left in it by a failed test is ended."""
    for pid_file in home.rglob("postmaster.pid"):
        if process := server_process(pid_file.parent):
            kill(process, signal.SIGQUIT)
    remove(home)
    assert not home.exists()


def ask_server(server: EmbeddedServer, query: str) -> object:
    """Return the first column of the first row, or None, from a session of its own."""
    host = str(server.socket_directory)
    connection = psycopg.connect(host=host, port=PORT, user="postgres", dbname="postgres", autocommit=True)
    with connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def server_process(data: Path) -> int | None:
    """Return the process id of the living server on `data`, or None."""
    try:
        process = int((data / "postmaster.pid").read_text().splitlines()[0])
        arguments = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return process if os.fsencode(data) in arguments else None


def supervisor_process(layout: Layout) -> int | None:
    """Return the process id of the supervisor of the server, or None."""
    if file_lock.is_free(layout.supervisor_lock):
        return None
    wait_for(lambda: layout.supervisor_lock.read_text().endswith("\n"))
    return int(layout.supervisor_lock.read_text())


def process_state(process: int) -> str | None:
    """Return the letter of proc(5), Z for a zombie, or None when there is no such process."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def times_asleep(process: int) -> int:
    """Return how often the process has gone to sleep by itself."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("voluntary_ctxt_switches"))
    return int(line.split()[1])


def kill(process: int, signal_number: signal.Signals = signal.SIGKILL) -> None:
    """Send the signal and wait until the process is gone or a zombie."""
    os.kill(process, signal_number)
    wait_for(lambda: process_state(process) in {None, "Z"})


def wait_for(happened: Callable[[], bool], patience: timedelta = PATIENCE) -> None:
    """Return as soon as it happened; fails when it does not."""
    end = time.monotonic() + patience.total_seconds()
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.001)
