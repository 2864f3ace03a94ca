"""Locks on files that the kernel gives back when their holder ends, however it ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from livingworld.database.embedded.deadline import Deadline
from livingworld.errors import EmbeddedServerFailed


@contextlib.contextmanager
def exclusive(path: Path, deadline: Deadline) -> Iterator[None]:
    """Hold `path` alone while the block runs; raises EmbeddedServerFailed when it is not free in time."""
    with _open(path) as file:
        while not _lock(file, shared=False):
            if not deadline.pause():
                message = f"another process has held {path} for longer than {deadline.time_limit}"
                raise EmbeddedServerFailed(message)
        yield


def join(path: Path) -> IO[str]:
    """Hold `path` together with others until the returned file is closed; each call counts by itself."""
    file = _open(path)
    if not _lock(file, shared=True):
        file.close()
        message = f"{path} is held by a program that is not livingworld"
        raise EmbeddedServerFailed(message)
    return file


def is_free(path: Path) -> bool:
    """Return True when nobody holds `path`."""
    # A file opened anew: a lock belongs to the opening, and a forked child shares that of its parent.
    with _open(path) as file:
        return _lock(file, shared=False)


def _open(path: Path) -> IO[str]:
    # Closed to other users: whoever can open a file can lock it.
    return open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")  # noqa: PTH123


def _lock(file: IO[str], *, shared: bool) -> bool:
    import fcntl  # noqa: PLC0415 - absent on Windows, where this package must still be importable

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
