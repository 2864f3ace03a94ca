"""Locks on files, which the kernel releases when their holder ends, however it ends."""

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
    """Hold `path` exclusively while the block runs; raises EmbeddedServerFailed when it is not free in time."""
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
    """Hold `path` exclusively while the block runs and yield True, or yield False at once; raises FileNotFoundError."""
    with _open(path, _EXISTING) as file:
        yield _lock(file, shared=False)


def join(path: Path) -> IO[str]:
    """Share `path` with other holders until the returned file is closed; each call counts separately."""
    file = _open(path, _EXISTING | os.O_CREAT)
    if not _lock(file, shared=True):
        file.close()
        message = f"{path} is locked by a program that is not livingworld"
        raise EmbeddedServerFailed(message)
    return file


def take(path: Path) -> IO[str] | None:
    """Hold `path` exclusively until the returned file is closed, also in forked children; None when it is not free."""
    file = _open(path, _EXISTING | os.O_CREAT)
    if _lock(file, shared=False):
        return file
    file.close()
    return None


def is_free(path: Path) -> bool:
    """Return True when no process holds `path`."""
    try:
        # A file of its own: a lock belongs to the open file, which a forked child shares with its parent.
        with exclusive_if_free(path) as free:
            return free
    except FileNotFoundError:
        return True


def _open(path: Path, flags: int) -> IO[str]:
    # Not accessible to other users, who could lock it.
    return open(os.open(path, flags, 0o600), "r+")  # noqa: PTH123


def _lock(file: IO[str], *, shared: bool) -> bool:
    import fcntl  # noqa: PLC0415 - absent on Windows, where this package must still be importable

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlock(file: IO[str]) -> None:
    """Release the lock also for a child that another thread forked meanwhile, which closing would not."""
    import fcntl  # noqa: PLC0415

    fcntl.flock(file, fcntl.LOCK_UN)
