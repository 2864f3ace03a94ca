"""The embedded server asks who connects, also where its socket is open and where an earlier release trusted all."""

from __future__ import annotations

import pwd
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from livingworld.embedded_server import EmbeddedServer, find_binaries
from livingworld.embedded_server.binaries import reachable_binaries
from livingworld.embedded_server.layout import PORT, Layout, socket_file
from livingworld.embedded_server.server_account import ServerAccount
from livingworld.errors import EmbeddedServerFailed
from tests.support.embedded_servers import ask_server, make_home, needs_root, remove_home

pytestmark = pytest.mark.any_server
#: What initdb of an earlier release wrote.
TRUSTING = "local all all trust\n"
METHODS = "SELECT array_agg(DISTINCT auth_method ORDER BY auth_method)::text FROM pg_hba_file_rules"


def methods(server: EmbeddedServer) -> object:
    return ask_server(server, METHODS)


def open_to_all(server: EmbeddedServer) -> None:
    """Do what a careless administrator does: open every directory on the way to the socket, and the socket."""
    for path in (socket_file(server.socket_directory), *socket_file(server.socket_directory).parents[:3]):
        path.chmod(0o777)


def connect_as(server: EmbeddedServer, user: str, role: str = "postgres") -> str:
    entry = pwd.getpwnam(user)
    account = ServerAccount(entry.pw_uid, entry.pw_gid, switched=True)
    folder = make_home()
    try:
        account.take(folder)
        return account.run(
            reachable_binaries(find_binaries(), account, folder) / "psql",
            *("-h", server.socket_directory, "-p", str(PORT), "-U", role, "-d", "postgres"),
            "--no-password",
            "--tuples-only",
            "--command=SELECT 'let in'",
            time_limit=timedelta(seconds=30),
        )
    finally:
        remove_home(folder)


@pytest.mark.first_start
def test_nobody_is_trusted(home: Path) -> None:
    with EmbeddedServer(home, durable=False) as server:
        assert methods(server) == "{peer,scram-sha-256}"


def test_the_data_of_an_earlier_release_is_switched_over_at_the_next_start(home: Path, layout: Layout) -> None:
    with EmbeddedServer(home, durable=False) as server:
        ask_server(server, "CREATE TABLE kept AS SELECT 7 AS n")
    (layout.data / "pg_hba.conf").write_text(TRUSTING)
    (layout.data / "pg_ident.conf").write_text("")

    with EmbeddedServer(home, durable=False) as server:
        assert ask_server(server, "SELECT n FROM kept") == 7
        assert methods(server) == "{peer,scram-sha-256}"
    assert (layout.data / "pg_hba.conf").stat().st_mode & 0o077 == 0


@needs_root
def test_another_user_is_refused_although_the_socket_is_open(home: Path) -> None:
    with EmbeddedServer(home, durable=False) as server:
        owner = pwd.getpwuid(server.data_directory.stat().st_uid).pw_name
        assert "let in" in connect_as(server, owner)
        assert "let in" in connect_as(server, "root")
        open_to_all(server)
        with pytest.raises(EmbeddedServerFailed, match=r'[Pp]eer authentication failed for user "postgres"'):
            connect_as(server, "daemon")


def test_a_role_of_the_user_needs_its_password(home: Path) -> None:
    with EmbeddedServer(home, durable=False) as server:
        ask_server(server, "CREATE ROLE writer LOGIN PASSWORD 'correct-horse'")
        address = {"host": str(server.socket_directory), "port": PORT, "user": "writer", "dbname": "postgres"}
        with psycopg.connect(**address, password="correct-horse") as connection:  # type: ignore[arg-type]
            assert connection.execute("SELECT current_user").fetchone() == ("writer",)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(**address, password="wrong")  # type: ignore[arg-type]
