"""The embedded server as one of its clients sees it."""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import IO, Final, Self

from sqlalchemy import URL

from livingworld.embedded_server import file_lock
from livingworld.embedded_server.authentication import write_rules
from livingworld.embedded_server.binaries import find_binaries, major_version, reachable_binaries, read_version
from livingworld.embedded_server.data_directory import (
    make_data,
    make_directory,
    make_private_directory,
    refuse_closed_directory,
)
from livingworld.embedded_server.deadline import Deadline
from livingworld.embedded_server.layout import PORT, Layout, default_home
from livingworld.embedded_server.liveness import Liveness, ask
from livingworld.embedded_server.postmaster import Postmaster
from livingworld.embedded_server.server_account import ServerAccount
from livingworld.embedded_server.supervision import ensure_supervisor, is_supervised
from livingworld.errors import EmbeddedServerFailed

_INITDB_PATIENCE: Final = timedelta(seconds=30)


class EmbeddedServer:
    """One client of the server whose data is in `home`: the first starts it, the last stops it.

    Every method blocks, may be called from several threads, and raises EmbeddedServerFailed with the reason where the
    server cannot run. Each object counts as a client, in one process too. `conf` and `durable` are those of the client
    that starts the server; with `durable=False` a crash of the machine may lose data.
    """

    def __init__(
        self,
        home: Path | None = None,
        *,
        binaries: Path | None = None,
        durable: bool = True,
        conf: Mapping[str, str] | None = None,
        start_timeout: timedelta = timedelta(minutes=5),
        stop_timeout: timedelta = timedelta(minutes=1),
    ) -> None:
        if sys.platform == "win32":
            message = "the embedded server needs unix sockets and file locks; on Windows set LIVINGWORLD_DATABASE_URL"
            raise EmbeddedServerFailed(message)
        self._home = (home or default_home()).expanduser().resolve()
        self._chosen_binaries = binaries
        self._durable = durable
        self._conf = dict(conf or {})
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._mutex = threading.Lock()
        self._clients: IO[str] | None = None

    @property
    def socket_directory(self) -> Path:
        """The directory of the socket while the server runs: the host that clients connect to."""
        return self._layout.socket_directory(self._account.uid)

    @property
    def data_directory(self) -> Path:
        """Where PostgreSQL keeps the data."""
        return self._layout.data

    @cached_property
    def version(self) -> str:
        """The version of the binaries, such as `18.6`."""
        return read_version(self._binaries)

    @property
    def description(self) -> str:
        """One line for people: version and data directory."""
        return f"the embedded server, PostgreSQL {self.version}, with its data in {self.data_directory}"

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database on this server for SQLAlchemy and asyncpg."""
        query = {"host": str(self.socket_directory), "port": str(PORT)}  # without a port, PGPORT would decide
        url = URL.create("postgresql+asyncpg", username="postgres", database=database, query=query)
        return url.render_as_string(hide_password=False)

    def start(self) -> Self:
        """Return when the server takes connections; this object then keeps it running until stop()."""
        with self._alone():
            deadline = Deadline(self._start_timeout)
            make_directory(self._layout.directory, self._account)
            with contextlib.ExitStack() as undo, file_lock.exclusive(self._layout.start_lock, deadline):
                clients = self._clients or undo.enter_context(file_lock.join(self._layout.clients_lock))
                self._bring_up(deadline)
                undo.pop_all()
                self._clients = clients
            atexit.unregister(self.stop)
            atexit.register(self.stop)  # for a process that ends without closing what it opened
        return self

    def ensure_running(self) -> None:
        """Start the server again if it has ended since start(); costs one connect while it lives."""
        with self._alone():
            if self._clients is None:
                message = "this client has not started: call start() first"
                raise EmbeddedServerFailed(message)
            if ask(self.socket_directory) is not Liveness.READY:
                deadline = Deadline(self._start_timeout)
                with file_lock.exclusive(self._layout.start_lock, deadline):
                    self._bring_up(deadline)

    def stop(self) -> None:
        """Leave the server; the last one to leave stops it. Without start() nothing happens."""
        with self._alone():
            if self._clients is None:
                return
            atexit.unregister(self.stop)
            clients, self._clients = self._clients, None
            deadline = Deadline(self._stop_timeout)
            with clients, file_lock.exclusive(self._layout.start_lock, deadline):
                clients.close()
                if file_lock.is_free(self._layout.clients_lock):
                    self._postmaster().shut_down(deadline)
                elif not is_supervised(self._layout):
                    ensure_supervisor(self._postmaster())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @cached_property
    def _binaries(self) -> Path:
        return self._chosen_binaries or find_binaries()

    @cached_property
    def _layout(self) -> Layout:
        return Layout(self._home, major_version(self.version))

    @cached_property
    def _account(self) -> ServerAccount:
        return ServerAccount.choose(self._layout.data)

    def _postmaster(self) -> Postmaster:
        binaries = reachable_binaries(self._binaries, self._account, self._layout.directory)
        return Postmaster(self._layout, self._account, binaries, self.socket_directory)

    def _bring_up(self, deadline: Deadline) -> None:
        ready = ask(self.socket_directory) is Liveness.READY
        if ready and is_supervised(self._layout):
            return
        refuse_closed_directory(self._layout.directory, self._account, deadline.remaining)
        postmaster = self._postmaster()
        ensure_supervisor(postmaster)  # before the server: this process may be killed at any moment
        if ready:
            return
        self._wait_for_the_initdb_of_a_killed_starter()
        data, account = self._layout.data, self._account
        with file_lock.join(self._layout.server_lock) as lock:
            limit = deadline.remaining
            make_data(data, postmaster.binaries, account, lock, durable=self._durable, time_limit=limit)
            make_private_directory(self.socket_directory, account)
            write_rules(data, account)
            postmaster.bring_up(self._conf, lock, durable=self._durable, deadline=deadline)

    def _wait_for_the_initdb_of_a_killed_starter(self) -> None:
        """Wait: an initdb whose data is removed would fail and leave its shared memory behind."""
        patience = Deadline(_INITDB_PATIENCE)
        while not self._layout.data.exists() and not file_lock.is_free(self._layout.server_lock):
            if not patience.pause():
                return

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold this object's own lock, and name an error of the operating system."""
        limit = self._start_timeout + self._stop_timeout
        if not self._mutex.acquire(timeout=limit.total_seconds()):
            message = f"another thread has been starting or stopping the server for longer than {limit}"
            raise EmbeddedServerFailed(message)
        try:
            yield
        except OSError as error:
            message = f"the embedded server's files in {self._home} cannot be used: {error}"
            raise EmbeddedServerFailed(message) from error
        finally:
            self._mutex.release()
