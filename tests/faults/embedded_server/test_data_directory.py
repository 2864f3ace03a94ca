from __future__ import annotations

import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from livingworld.embedded_server import EmbeddedServer, file_lock
from livingworld.embedded_server.layout import Layout
from livingworld.errors import EmbeddedServerFailed
from tests.faults.embedded_server.programs import ClientProgram
from tests.faults.embedded_server.scripted_binaries import ScriptedBinaries
from tests.support.embedded_servers import ask_server, needs_linux, server_process, times_asleep, wait_for

pytestmark = needs_linux
Launch = Callable[..., ClientProgram]


def test_a_home_begins_with_the_data_of_a_first_start(layout: Layout) -> None:
    assert (layout.data / "PG_VERSION").exists()


@pytest.mark.first_start
def test_a_home_for_a_first_start_begins_empty(home: Path) -> None:
    assert list(home.iterdir()) == []


def test_a_server_is_durable_and_listens_on_no_network_by_default(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "6000")
    monkeypatch.setenv("PGDATA", "elsewhere")

    with EmbeddedServer(home, conf={"listen_addresses": "*", "work_mem": "5MB"}) as server:
        names = ["fsync", "full_page_writes", "synchronous_commit", "listen_addresses", "work_mem", "port"]
        settings = [ask_server(server, f"SHOW {name}") for name in names]

    assert settings == ["on", "on", "on", "", "5MB", "5432"]


def test_a_server_for_tests_may_give_up_durability(home: Path) -> None:
    with EmbeddedServer(home, durable=False) as server:
        assert ask_server(server, "SHOW fsync") == "off"


def test_data_is_kept_over_restarts(home: Path) -> None:
    with EmbeddedServer(home) as server:
        ask_server(server, "CREATE TABLE kept AS SELECT 'José 船' AS name")

    with EmbeddedServer(home) as server:
        assert ask_server(server, "SELECT upper(name) FROM kept") == "JOSÉ 船"


def test_the_data_lies_under_its_major_version(home: Path, layout: Layout) -> None:
    with EmbeddedServer(home, durable=False) as server:
        version = int(str(ask_server(server, "SHOW server_version_num"))) // 10_000

    assert (home / f"postgresql-{version}" / "data" / "PG_VERSION").read_text().strip() == str(version)


@pytest.mark.first_start
def test_a_kill_in_the_middle_of_initdb_leaves_no_broken_data(client: Launch, home: Path, layout: Layout) -> None:
    killed = client()
    killed.say("start")
    wait_for(lambda: any(layout.directory.glob("unfinished-*/PG_VERSION")))

    killed.kill()  # its initdb works on for a moment
    assert not layout.data.exists()

    with EmbeddedServer(home, durable=False) as server:
        assert ask_server(server, "SELECT 1") == 1
    with EmbeddedServer(home, durable=False):
        assert list(layout.directory.glob("unfinished-*")) == []


@pytest.mark.first_start
def test_the_initdb_of_a_killed_starter_is_not_disturbed_by_the_next(
    client: Launch, home: Path, layout: Layout
) -> None:
    """Else it breaks off in the middle, and its shared memory stays in the machine."""
    scripted = ScriptedBinaries(home, slow="initdb", waits_at="-D")
    killed, following = client(binaries=scripted.directory), client()
    killed.say("start")
    scripted.until_it_waits()
    (unfinished,) = layout.directory.glob("unfinished-data-*")

    killed.kill()
    following.say("start")
    wait_for(lambda: not file_lock.is_free(layout.clients_lock))
    before = times_asleep(following.pid)
    wait_for(lambda: times_asleep(following.pid) > before + 100)  # it looks and waits, again and again
    assert unfinished.exists()
    scripted.go_on()

    following.hear("start done")
    following.do("stop")
    assert not unfinished.exists()


def test_a_starter_killed_before_its_server_is_up_does_not_disturb_the_next(
    client: Launch, home: Path, layout: Layout
) -> None:
    with EmbeddedServer(home, durable=False):
        pass
    scripted = ScriptedBinaries(home, waits_at="start")
    killed = client(binaries=scripted.directory)
    killed.say("start")
    scripted.until_it_waits()

    killed.kill()
    scripted.go_on()

    with EmbeddedServer(home, durable=False) as server:
        assert ask_server(server, "SELECT 1") == 1
        process = server_process(layout.data)
    assert process is not None
    wait_for(lambda: server_process(layout.data) in {None, process})


def test_the_log_of_a_server_holds_no_text_of_a_failed_statement(home: Path, layout: Layout) -> None:
    with EmbeddedServer(home, durable=False) as server, pytest.raises(Exception, match="secret lantern"):
        ask_server(server, "SELECT 'the secret lantern'::integer")

    assert "lantern" not in layout.log.read_text()


@pytest.mark.first_start
def test_a_long_path_gets_a_short_socket_directory_that_ends_with_the_server(home: Path) -> None:
    deep = home / ("a-long-name-" * 10) / "with spaces, commas and 'quotes'"

    with EmbeddedServer(deep, durable=False) as server, EmbeddedServer(deep) as another:
        sockets = server.socket_directory
        assert ask_server(another, "SELECT 1") == 1
        assert another.socket_directory == sockets
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert home not in sockets.parents

    assert not sockets.exists()


@pytest.mark.first_start
def test_a_socket_directory_that_others_can_enter_is_refused(home: Path) -> None:
    server = EmbeddedServer(home / ("a-long-name-" * 10), durable=False)
    sockets = server.socket_directory
    sockets.mkdir()
    sockets.chmod(0o777)
    try:
        with pytest.raises(EmbeddedServerFailed, match="not a directory of user"):
            server.start()
    finally:
        sockets.rmdir()


@pytest.mark.first_start
async def test_the_url_leads_to_the_server_whatever_the_environment_says(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "6000")
    monkeypatch.setenv("PGHOST", "elsewhere")

    with EmbeddedServer(home / "a & b", durable=False) as server:
        ask_server(server, 'CREATE DATABASE "my stories"')
        engine = create_async_engine(server.url("my stories"))
        async with engine.connect() as connection:
            database = await connection.scalar(text("SELECT current_database()"))
        await engine.dispose()

    assert database == "my stories"


@pytest.mark.first_start
def test_starting_and_joining_are_quick(home: Path) -> None:
    with EmbeddedServer(home):
        pass
    began = time.monotonic()

    with EmbeddedServer(home):
        started = time.monotonic()
        with EmbeddedServer(home):
            joined = time.monotonic()

    assert started - began < 60  # on a slow machine too
    assert joined - started < started - began


@pytest.mark.first_start
def test_directories_are_closed_to_other_users(home: Path, layout: Layout) -> None:
    with EmbeddedServer(home, durable=False) as server:
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (layout.data, server.socket_directory)}
        files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (layout.start_lock, layout.clients_lock)}

    assert modes == {"data": 0o700, "run": 0o700}
    assert files == {"start.lock": 0o600, "clients.lock": 0o600}
