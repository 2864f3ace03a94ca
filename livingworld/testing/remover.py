"""Removes directories of embedded servers; as a program it does so when the process that started it has ended.

The program reads lines from its standard input: `directory` and a path, or `mark` and an environment variable with its
value. It needs the standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Final

_SEGMENTS: Final = Path("/proc/sysvipc/shm")
_SEGMENT_LINE: Final = 6
_IPC_RMID: Final = 0
_PATIENCE_SECONDS: Final = 60


def remove(directory: Path) -> None:
    """Remove a directory when the servers in it have ended, and the shared memory of those that were killed."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while _in_use(directory) and time.monotonic() < end:
        time.sleep(0.02)
    for pid_file in _find(directory, "postmaster.pid"):
        _remove_segment(pid_file.read_text().splitlines())
    shutil.rmtree(directory, ignore_errors=True)


def _in_use(directory: Path) -> bool:
    """Return True while a process of a server lives: each one holds the lock."""
    for path in _find(directory, "server.lock"):
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


def _find(directory: Path, name: str) -> list[Path]:
    """Return the files of this name; programs that end meanwhile may remove files during the walk."""
    return [Path(folder, name) for folder, _, files in os.walk(directory) if name in files]


def _remove_segment(pid_file: list[str]) -> None:
    if len(pid_file) <= _SEGMENT_LINE or not _SEGMENTS.exists():
        return
    key, identifier = (int(number) for number in pid_file[_SEGMENT_LINE].split())
    rows = [line.split() for line in _SEGMENTS.read_text().splitlines()[1:]]
    if any(int(row[0]) % 2**32 == key % 2**32 and int(row[1]) == identifier for row in rows):
        ctypes.CDLL(None).shmctl(identifier, _IPC_RMID, None)


def _end_programs(mark: bytes) -> None:
    """End every program that has `mark` in its environment: a marked process and all that it started."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


def main() -> None:
    """Read until the starting process has ended; then end its programs and remove its directories."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    orders = [line.rstrip(b"\n").partition(b" ") for line in sys.stdin.buffer]
    for mark in (value for kind, _, value in orders if kind == b"mark"):
        _end_programs(mark)
    for path in (value for kind, _, value in orders if kind == b"directory"):
        remove(Path(os.fsdecode(path)))


if __name__ == "__main__":
    main()
