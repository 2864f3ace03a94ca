"""Locks on files that the kernel gives back when their holder ends, however it ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from livingworld.embedded_server.deadline import Deadline
from livingworld.errors import EmbeddedServerFailed

_EXISTING: Final = os.O_RDWR | os.O_CLOEXEC


@contextlib.contextmanager
def exclusive(path: Path, deadline: Deadline) -> Iterator[None]:
    """Hold `path` alone while the block runs; raises EmbeddedServerFailed when it is not free in time."""
    with _open(path, _EXISTING | os.O_CREAT) as file:
        while not _lock(file, shared=False):
            if not deadline.pause():
                message = f"another process has held {path} for longer than {deadline.time_limit}"
                raise EmbeddedServerFailed(message)
        try:
            yield
        finally:
            _unlock(file)


@contextlib.contextmanager
def exclusive_if_free(path: Path) -> Iterator[bool]:
    """Hold `path` alone while the block runs and give True, or give False at once; raises FileNotFoundError."""
    with _open(path, _EXISTING) as file:
        yield _lock(file, shared=False)


def join(path: Path) -> IO[str]:
    """Hold `path` together with others until the returned file is closed; each call counts by itself."""
    file = _open(path, _EXISTING | os.O_CREAT)
    if not _lock(file, shared=True):
        file.close()
        message = f"{path} is held by a program that is not livingworld"
        raise EmbeddedServerFailed(message)
    return file


def take(path: Path) -> IO[str] | None:
    """Hold `path` alone until the returned file is closed, here and in every forked child; None when it is not free."""
    file = _open(path, _EXISTING | os.O_CREAT)
    if _lock(file, shared=False):
        return file
    file.close()
    return None


def is_free(path: Path) -> bool:
    """Return True when nobody holds `path`."""
    try:
        # A file opened anew: a lock belongs to the opening, and a forked child shares that of its parent.
        with exclusive_if_free(path) as free:
            return free
    except FileNotFoundError:
        return True


def _open(path: Path, flags: int) -> IO[str]:
    # Closed to other users: whoever can open a file can lock it.
    return open(os.open(path, flags, 0o600), "r+")  # noqa: PTH123


def _lock(file: IO[str], *, shared: bool) -> bool:
    import fcntl  # noqa: PLC0415 - absent on Windows, where this package must still be importable

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlock(file: IO[str]) -> None:
    """Give the lock back for a child too that another thread forked meanwhile: closing alone would leave it there."""
    import fcntl  # noqa: PLC0415

    fcntl.flock(file, fcntl.LOCK_UN)
