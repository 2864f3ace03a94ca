"""The paths of the embedded server: one directory for each major version of PostgreSQL, which cannot read another's."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from livingworld.errors import EmbeddedServerFailed

PORT: Final = 5432
_SOCKET_NAME: Final = f".s.PGSQL.{PORT}"
#: sun_path holds 104 bytes on macOS and 108 on Linux, with the final zero.
_LONGEST_SOCKET_PATH: Final = 103
#: pg_ctl puts paths between double quotes into a shell's command line, and postmaster.pid has one value a line.
_UNSAFE: Final = frozenset('"$`\\\n')
#: unix_socket_directories and the host of a URL are lists.
_UNSAFE_IN_SOCKET: Final = frozenset(",:'")


def default_home() -> Path:
    """Return where the embedded server keeps its data: `LIVINGWORLD_HOME`, else the user's data directory.

    For root it is /var/lib/livingworld: the user that PostgreSQL runs as cannot enter root's own directories.
    """
    if chosen := os.environ.get("LIVINGWORLD_HOME"):
        return Path(chosen)
    if os.geteuid() == 0:
        return Path("/var/lib/livingworld")
    try:
        import platformdirs  # noqa: PLC0415 - comes with the extra `embedded`
    except ImportError as error:
        message = "install livingworld[embedded], or set LIVINGWORLD_HOME to a directory for the embedded server's data"
        raise EmbeddedServerFailed(message) from error
    return Path(platformdirs.user_data_dir("livingworld", appauthor=False))


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one server."""

    home: Path
    major_version: int

    def __post_init__(self) -> None:
        if _UNSAFE & set(str(self.home)):
            message = f"the data directory's path has a character that PostgreSQL's tools do not accept: {self.home}"
            raise EmbeddedServerFailed(message)

    @property
    def directory(self) -> Path:
        """The parent of everything below."""
        return self.home / f"postgresql-{self.major_version}"

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory; it exists only when it is complete."""
        return self.directory / "data"

    @property
    def log(self) -> Path:
        """The log of the server."""
        return self.data / "server.log"

    @property
    def start_lock(self) -> Path:
        """Held exclusively by the process that starts or stops the server."""
        return self.directory / "start.lock"

    @property
    def clients_lock(self) -> Path:
        """Shared by all clients of the server."""
        return self.directory / "clients.lock"

    @property
    def server_lock(self) -> Path:
        """Shared by every process of the server, and of the programs that make its data and start it."""
        return self.directory / "server.lock"

    @property
    def supervisor_lock(self) -> Path:
        """Held exclusively by the supervisor; the file has its process id."""
        return self.directory / "supervisor.lock"

    def socket_directory(self, uid: int) -> Path:
        """Return the directory of the socket: beside the data, or a short one where that path does not fit."""
        beside = self.directory / "run"
        long = len(os.fsencode(beside / _SOCKET_NAME)) > _LONGEST_SOCKET_PATH
        if not long and not _UNSAFE_IN_SOCKET & set(str(beside)):
            return beside
        # Not tempfile.gettempdir(): two processes with different TMPDIR would look for two servers.
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        return Path("/tmp") / f"livingworld-{uid}-{digest}"  # noqa: S108 - its owner and mode are checked before use


def socket_file(socket_directory: Path) -> Path:
    """Return the path that clients connect to."""
    return socket_directory / _SOCKET_NAME


def socket_lock_file(socket_directory: Path) -> Path:
    """Return PostgreSQL's own lock file of the socket."""
    return socket_directory / f"{_SOCKET_NAME}.lock"
