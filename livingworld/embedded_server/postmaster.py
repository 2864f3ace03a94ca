"""Start and stop the server process of one data directory."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Final

from livingworld.embedded_server import remains
from livingworld.embedded_server.deadline import Deadline
from livingworld.embedded_server.layout import PORT, Layout
from livingworld.embedded_server.liveness import Liveness, ask
from livingworld.embedded_server.server_account import ServerAccount
from livingworld.errors import EmbeddedServerFailed

#: The client gets the errors of its statements; in the server's log they would leave pieces of stories.
_QUIET: Final = {"log_min_messages": "log", "log_min_error_statement": "panic"}
#: Its shared memory lies in its directory: in /dev/shm it would outlive a killed server that is never started again.
_NOT_DURABLE: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "dynamic_shared_memory_type": "mmap",
}
_LONGEST_LOG: Final = 10_000_000
_LOG_TAIL: Final = 2_000


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The server of one data directory; call its methods under the start lock."""

    layout: Layout
    account: ServerAccount
    binaries: Path
    socket_directory: Path

    def bring_up(self, conf: Mapping[str, str], lock: IO[str], *, durable: bool, deadline: Deadline) -> None:
        """Return when the server takes connections, started or found; raises EmbeddedServerFailed when it cannot.

        Every process of a server that is started holds `lock`.
        """
        options = self._options(conf, durable=durable)
        while (answer := ask(self.socket_directory)) is not Liveness.READY:
            down = answer is Liveness.DOWN and remains.clear(self.layout.data, self.socket_directory)
            if down and self._start(options, lock, deadline):
                return
            if not deadline.pause():
                message = f"PostgreSQL in {self.layout.data} did not become ready within {deadline.time_limit}"
                raise EmbeddedServerFailed(message)

    def shut_down(self, deadline: Deadline) -> None:
        """End every session, stop the server if it runs, and remove a socket directory outside of its own one."""
        self._stop(deadline)
        if self.layout.directory not in self.socket_directory.parents:
            with contextlib.suppress(OSError):  # a foreign file is in it: not ours to remove
                self.socket_directory.rmdir()

    def _stop(self, deadline: Deadline) -> None:
        if ask(self.socket_directory) is Liveness.DOWN and not remains.postmaster_lives(self.layout.data):
            return  # pg_ctl must not run: it would signal the process that now has the dead server's process id
        try:
            self._control("stop", "-m", "fast", time_limit=deadline.remaining)
        except EmbeddedServerFailed:  # its last checkpoint takes too long; the next start replays the log instead
            if ask(self.socket_directory) is not Liveness.DOWN:
                self._control("stop", "-m", "immediate", time_limit=timedelta(seconds=10))

    def _start(self, options: str, lock: IO[str], deadline: Deadline) -> bool:
        """Return True when the server is ready, False when it is still coming up."""
        log_begin = self._begin_log()
        try:
            self._control("start", "-l", self.layout.log, "-o", options, time_limit=deadline.remaining, lock=lock)
        except EmbeddedServerFailed as error:
            # Recovery takes long, or the pg_ctl of a killed process was a moment ahead of this one.
            down = ask(self.socket_directory) is Liveness.DOWN
            if not down or not remains.clear(self.layout.data, self.socket_directory):
                return False
            message = f"PostgreSQL did not start: {error}\n{self._log_since(log_begin)}"
            raise EmbeddedServerFailed(message) from error
        return True

    def _control(self, action: str, *arguments: str | Path, time_limit: timedelta, lock: IO[str] | None = None) -> None:
        command = (self.binaries / "pg_ctl", action, "-D", self.layout.data, "-s", "-w")
        seconds = int(time_limit.total_seconds())
        # pg_ctl enforces the limit; the longer one is for a pg_ctl that hangs.
        longer = time_limit + timedelta(seconds=10)
        self.account.run(*command, "-t", str(seconds), *arguments, time_limit=longer, lock=lock)

    def _options(self, conf: Mapping[str, str], *, durable: bool) -> str:
        fixed = {
            "listen_addresses": "",
            "port": str(PORT),  # else PGPORT would decide
            "unix_socket_directories": str(self.socket_directory),
            "unix_socket_permissions": "0700",
        }
        settings = {**_QUIET, **({} if durable else _NOT_DURABLE), **conf, **fixed}
        return shlex.join(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))

    def _begin_log(self) -> int:
        """Return the size of the log, emptied when it has grown too long."""
        log = self.layout.log
        size = log.stat().st_size if log.exists() else 0
        if size <= _LONGEST_LOG:
            return size
        log.write_bytes(b"")
        return 0

    def _log_since(self, begin: int) -> str:
        with contextlib.suppress(OSError), self.layout.log.open("rb") as log:
            log.seek(begin)
            return log.read()[-_LOG_TAIL:].decode(errors="replace").strip()
        return ""
