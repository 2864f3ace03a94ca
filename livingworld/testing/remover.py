"""Removes directories of embedded servers; as a program of its own it does so when the process that runs it has ended.

The program reads on its standard input, a line each, `directory` and a path, or `mark` and a variable of the
environment with its value. It needs the standard library only.
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
    """Return True while a process of a server lives: each of them holds its lock."""
    for path in _find(directory, "server.lock"):
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


def _find(directory: Path, name: str) -> list[Path]:
    """Return the files of this name; programs that end meanwhile may remove what is being read."""
    return [Path(folder, name) for folder, _, files in os.walk(directory) if name in files]


def _remove_segment(pid_file: list[str]) -> None:
    if len(pid_file) <= _SEGMENT_LINE or not _SEGMENTS.exists():
        return
    key, identifier = (int(number) for number in pid_file[_SEGMENT_LINE].split())
    rows = [line.split() for line in _SEGMENTS.read_text().splitlines()[1:]]
    if any(int(row[0]) % 2**32 == key % 2**32 and int(row[1]) == identifier for row in rows):
        ctypes.CDLL(None).shmctl(identifier, _IPC_RMID, None)


def _end_programs(mark: bytes) -> None:
    """End every program that has `mark` in its environment, as all have that a marked process started."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


def main() -> None:
    """Read until the process that tells has ended; then end the programs and remove the directories that are left."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    told = [line.rstrip(b"\n").partition(b" ") for line in sys.stdin.buffer]
    for mark in (value for kind, _, value in told if kind == b"mark"):
        _end_programs(mark)
    for path in (value for kind, _, value in told if kind == b"directory"):
        remove(Path(os.fsdecode(path)))


if __name__ == "__main__":
    main()
