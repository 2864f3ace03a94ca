"""The file of a bundle until it is whole. Its writer has locked it; the kernel drops that lock when the writer ends."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp


@contextmanager
def part_file(path: Path) -> Iterator[tuple[int, Path]]:
    """Give an open file beside a path, and remove those of writers to this path that have ended.

    It has a name of its own: of two that write to one path each has a whole file. Only its owner may read it.
    """
    while True:
        number, name = mkstemp(suffix=".part", prefix=f"{path.name}.", dir=path.parent)
        is_locked = _lock(number)
        # Before it was locked another writer may have taken it for one that was left.
        if is_locked is not False and os.fstat(number).st_nlink:
            break
        os.close(number)
    if not is_locked:
        yield number, Path(name)
        return
    lock = os.dup(number)  # the caller closes the file before it has its name
    try:
        with suppress(OSError):
            _remove_left(path)
        yield number, Path(name)
    finally:
        os.close(lock)


def _remove_left(path: Path) -> None:
    """Remove the files beside a path that nobody has locked; one of another owner stays."""
    of_a_writer = re.compile(re.escape(path.name) + r"\.[a-z0-9_]{8}\.part")  # as mkstemp names it
    for found in list(path.parent.iterdir()):
        if of_a_writer.fullmatch(found.name):
            with suppress(OSError):
                _remove_unlocked(found)


def _remove_unlocked(part: Path) -> None:
    number = os.open(part, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if _lock(number):
            part.unlink()
    finally:
        os.close(number)


def _lock(number: int) -> bool | None:
    """Lock an open file; False: another one has locked it, None: files cannot be locked here."""
    try:
        import fcntl  # noqa: PLC0415 - absent on Windows

        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True
