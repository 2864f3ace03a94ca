"""Whole test sessions, run as an application would run them, on the server of this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from livingworld.testing.server import ServerAddress

pytestmark = pytest.mark.any_server

CONFTEST = 'pytest_plugins = ["livingworld.testing.fixtures"]'
TESTS = """
import asyncpg, pytest
from sqlalchemy import make_url

async def open_connection(url):
    parsed = make_url(url)
    return await asyncpg.connect(
        host=parsed.host or parsed.query["host"], port=parsed.port or int(parsed.query["port"]),
        user=parsed.username, password=parsed.password, database=parsed.database,
    )

left_open = []

async def test_that_leaves_a_connection_open(database_url):
    left_open.append(await open_connection(database_url))
    left_open.append(await open_connection(database_url))
    await left_open[0].execute("BEGIN; LOCK TABLE livingworld.worlds")

async def test_that_fails(database_url):
    assert database_url is None

def test_that_breaks(empty_database_url):
    raise KeyboardInterrupt
"""


def databases(server: ServerAddress) -> set[str]:
    with psycopg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, dbname=server.maintenance_dbname
    ) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


def start_session(folder: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    folder.mkdir()
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_application.py").write_text(TESTS)
    settings = ["-p", "no:cacheprovider", "-p", "no:randomly", "-o", "asyncio_mode=auto", "-W", "ignore"]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), *settings, *options, str(folder)],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def outcome(session: subprocess.Popen[str]) -> str:
    printed, _ = session.communicate(timeout=600)
    return printed


@pytest.mark.slow
def test_two_sessions_share_a_server_and_leave_no_database_whatever_happens(
    postgresql_server: ServerAddress, tmp_path: Path
) -> None:
    dsn = postgresql_server.url(postgresql_server.maintenance_dbname)

    sessions = [start_session(tmp_path / name, LIVINGWORLD_TEST_DSN=dsn) for name in ("first", "second")]
    printed = [outcome(session) for session in sessions]

    for text in printed:
        assert "1 failed, 1 passed" in text
        assert "KeyboardInterrupt" in text
    left = {name for name in databases(postgresql_server) for session in sessions if f"_{session.pid}_" in name}
    assert left == set()


@pytest.mark.slow
def test_options_on_the_command_line_win_over_the_environment(postgresql_server: ServerAddress, tmp_path: Path) -> None:
    options = [f"--postgresql-host={postgresql_server.host}", f"--postgresql-port={postgresql_server.port}"]
    options += [f"--postgresql-user={postgresql_server.user}"]
    if postgresql_server.password:
        options += [f"--postgresql-password={postgresql_server.password}"]

    session = start_session(
        tmp_path / "session", *options, LIVINGWORLD_TEST_DSN="postgresql://nobody@nowhere.invalid/none"
    )

    assert "1 failed, 1 passed" in outcome(session)
