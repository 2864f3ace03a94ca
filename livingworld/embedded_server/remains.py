"""The lock files that a killed server leaves behind, and when they may be removed.

PostgreSQL takes the process id in its lock files for a running server while any process has that id. That is wrong for
a zombie (many containers never reap one) and for an id that another program got since. The shared memory segment that
the same file names is reliable: it is attached while any process of that server lives.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from livingworld.embedded_server.layout import socket_lock_file

_SEGMENTS: Final = Path("/proc/sysvipc/shm")
_SEGMENT_LINE: Final = 6


def clear(data: Path, socket_directory: Path) -> bool:
    """Return False while processes of a server use `data`; else remove dead lock files and return True.

    Call it under the start lock. Outside Linux the answer is always True, and PostgreSQL decides.
    """
    pid_file = data / "postmaster.pid"
    if sys.platform != "linux" or not _SEGMENTS.exists() or not pid_file.exists():
        return True
    content = pid_file.read_text()
    if _segment_is_attached(content) or _names_postmaster(content, data):
        return False
    if pid_file.exists() and pid_file.read_text() == content:
        pid_file.unlink(missing_ok=True)
        socket_lock_file(socket_directory).unlink(missing_ok=True)
    return True


def postmaster_lives(data: Path) -> bool:
    """Return True when the process that `data` names is a server on `data`; outside Linux always False."""
    pid_file = data / "postmaster.pid"
    return pid_file.exists() and _names_postmaster(pid_file.read_text(), data)


def _segment_is_attached(content: str) -> bool:
    lines = content.splitlines()
    if len(lines) <= _SEGMENT_LINE:
        return False  # killed, or still starting, before it had one
    key, identifier = (int(number) for number in lines[_SEGMENT_LINE].split())
    rows = (line.split() for line in _SEGMENTS.read_text().splitlines()[1:])
    return any(
        int(row[1]) == identifier and int(row[0]) % 2**32 == key % 2**32 and int(row[6]) > 0  # column 6: attached
        for row in rows
    )


def _names_postmaster(content: str, data: Path) -> bool:
    """Return True for a living process that was started on `data`; it may not have its segment yet, or no longer."""
    pid = content.partition("\n")[0].strip()
    try:
        arguments = Path(f"/proc/{int(pid)}/cmdline").read_bytes().split(b"\0")  # empty for a zombie
    except (ValueError, OSError):
        return False
    return os.fsencode(data) in arguments
