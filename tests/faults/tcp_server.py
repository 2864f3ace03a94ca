"""A PostgreSQL that listens on a TCP port, with passwords, and with TLS where its programs have it."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg

from livingworld.embedded_server import find_binaries
from livingworld.embedded_server.binaries import reachable_binaries
from livingworld.embedded_server.server_account import ServerAccount
from tests.faults.certificates import Certificates
from tests.support.embedded_servers import make_home, wait_for

_PATIENCE: Final = timedelta(seconds=60)
#: Who fits none is refused.
_RULES: Final = """
local   all all             trust
host    all postgres all    trust
host    all trusted  all    trust
host    all nobody   all    trust
host    all few      all    trust
host    all writer   all    scram-sha-256
host    replication postgres all trust
"""
_RULES_WITH_TLS: Final = """
hostssl all by_tls   all    scram-sha-256
hostssl all by_certificate all cert
"""
_ROLES: Final = """
    CREATE ROLE trusted LOGIN SUPERUSER;
    CREATE ROLE writer LOGIN PASSWORD 'correct-horse';
    CREATE ROLE by_tls LOGIN SUPERUSER PASSWORD 'correct-horse';
    CREATE ROLE by_certificate LOGIN;
    CREATE ROLE few LOGIN CONNECTION LIMIT 1;
    CREATE ROLE unwanted LOGIN
"""


def programs_with_tls() -> Path | None:
    """Return PostgreSQL's programs built with OpenSSL: those of the tests, else the system's; None without any."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in (find_binaries(), *installed) if _has_tls(folder)), None)


def _has_tls(folder: Path) -> bool:
    if not (folder / "initdb").exists() or shutil.which("openssl") is None:
        return False
    configured = subprocess.run([folder / "pg_config", "--configure"], capture_output=True, text=True, check=False)
    return "--with-openssl" in configured.stdout or "--with-ssl=openssl" in configured.stdout


@dataclass(frozen=True, slots=True)
class TcpServer:
    """A running cluster of its own."""

    home: Path
    binaries: Path
    account: ServerAccount
    port: int

    def url(self, user: str = "trusted", password: str = "", *, host: str = "127.0.0.1", query: str = "") -> str:
        """Return a URL as libpq takes it."""
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@{host}:{self.port}/postgres{query and '?'}{query}"

    def initialise(self, **conf: str) -> None:
        data = self.home / "data"
        self._run("initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8")
        (data / "pg_hba.conf").write_text(_RULES + (_RULES_WITH_TLS if "ssl" in conf else ""))
        settings = {"listen_addresses": "localhost", "port": str(self.port), "fsync": "off", **conf}
        settings["unix_socket_directories"] = str(self.home)
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def copy(self, primary: TcpServer) -> None:
        """Make it a standby of a running server; it is not started."""
        source = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres")
        self._run(
            "pg_basebackup", "-D", str(self.home / "data"), *source, "--write-recovery-conf", "--no-sync", "-c", "fast"
        )
        with (self.home / "data" / "postgresql.conf").open("a") as file:
            file.write(f"port = '{self.port}'\nunix_socket_directories = '{self.home}'\n")

    def promote(self) -> None:
        """Make a standby the primary; returns when it takes writes."""
        self._control("promote")

    def start(self) -> None:
        self._control("start", "-l", str(self.home / "log"))

    def stop(self, mode: str = "fast") -> None:
        self._control("stop", "-m", mode)

    def shut_down_behind_the_last_session(self) -> None:
        """Begin a shutdown that waits for the sessions that are open; returns when no other one is let in."""
        self._control("stop", "-m", "smart", wait="-W")

    def administer(self, *statements: str) -> None:
        """Run statements as the superuser, through the socket."""
        with self._session() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def configure(self, setting: str, value: str) -> None:
        """Change a setting for the sessions to come; returns when it is in force."""
        self.administer(f"ALTER SYSTEM SET {setting} = '{value}'", "SELECT pg_reload_conf()")
        wait_for(lambda: self._shown(setting) == value)

    def ask(self, question: str) -> object:
        """Return the first column of the first row."""
        with self._session() as connection:
            row = connection.execute(question.encode()).fetchone()
        return row and row[0]

    def _shown(self, setting: str) -> object:
        return self.ask(f"SHOW {setting}")

    def _session(self) -> psycopg.Connection:
        return psycopg.connect(host=str(self.home), port=self.port, user="postgres", dbname="postgres", autocommit=True)

    def _control(self, action: str, *arguments: str, wait: str = "-w") -> None:
        self._run("pg_ctl", action, "-D", str(self.home / "data"), "-s", wait, *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        self.account.run(self.binaries / program, *arguments, time_limit=_PATIENCE)


@contextmanager
def tcp_server(programs: Path, certificates: Certificates | None = None) -> Iterator[TcpServer]:
    """Give a server with TLS when there are certificates; it ends with the block and leaves nothing."""
    with _place(programs) as server:
        server.initialise(**({} if certificates is None else certificates.for_server(server.home, server.account)))
        server.start()
        server.administer(*_ROLES.split(";"))
        yield server


@contextmanager
def standby_of(primary: TcpServer) -> Iterator[TcpServer]:
    """Give a standby that streams from a server; it ends with the block and leaves nothing."""
    with _place(primary.binaries) as server:
        server.copy(primary)
        server.start()
        wait_for(lambda: primary.ask("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == 1)
        yield server


@contextmanager
def _place(programs: Path) -> Iterator[TcpServer]:
    """Give a directory and a port for a server, which is ended and removed after the block if it was started."""
    home = make_home()
    try:
        account = ServerAccount.choose(home / "data")
        account.take(home)
        server = TcpServer(home, reachable_binaries(programs, account, home), account, free_port())
        try:
            yield server
        finally:
            if (home / "data" / "postmaster.pid").exists():
                server.stop("immediate")
    finally:
        shutil.rmtree(home)


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
