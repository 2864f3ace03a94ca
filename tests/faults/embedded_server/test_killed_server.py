from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from livingworld.embedded_server import EmbeddedServer
from livingworld.embedded_server.layout import Layout, socket_lock_file
from livingworld.errors import EmbeddedServerFailed
from tests.faults.embedded_server.programs import identity
from tests.support.embedded_servers import ask_server, kill, needs_linux, process_state, server_process

pytestmark = needs_linux


@pytest.fixture
def server(home: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(home) as running:
        yield running


@pytest.fixture
def process(server: EmbeddedServer, layout: Layout) -> int:
    found = server_process(layout.data)
    assert found is not None
    return found


def test_a_killed_server_is_back_within_seconds_with_its_data(
    server: EmbeddedServer, process: int, layout: Layout
) -> None:
    ask_server(server, "CREATE TABLE kept AS SELECT generate_series(1, 100000) AS n")
    began = time.monotonic()

    kill(process)
    server.ensure_running()

    assert time.monotonic() - began < 60  # on a slow machine too; one that does not come is waited for five minutes
    assert ask_server(server, "SELECT count(*) FROM kept") == 100_000
    assert server_process(layout.data) not in {None, process}


def test_a_server_that_is_well_is_left_alone(server: EmbeddedServer, process: int, layout: Layout) -> None:
    server.ensure_running()

    assert server_process(layout.data) == process


def test_a_killed_server_is_back_while_its_sessions_were_at_work(server: EmbeddedServer, process: int) -> None:
    address = {"host": str(server.socket_directory), "user": "postgres", "dbname": "postgres"}
    program = f"import psycopg; psycopg.connect(**{address!r}).execute('SELECT pg_sleep(600)')"
    session = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    while ask_server(server, sleeping) != 1:
        assert session.poll() is None

    kill(process)
    server.ensure_running()

    assert ask_server(server, sleeping) == 0
    assert session.wait(timeout=30) != 0


def test_a_server_killed_without_a_client_is_started_by_the_next_client(home: Path, layout: Layout) -> None:
    first = EmbeddedServer(home).start()
    process = server_process(layout.data)
    assert process is not None

    kill(process)
    first.stop()

    with EmbeddedServer(home) as second:
        assert ask_server(second, "SELECT 1") == 1


def test_an_unreaped_zombie_does_not_keep_the_server_down(home: Path) -> None:
    """As in a container whose first process never waits for orphans."""
    program = Path(__file__).with_name("unreaped_program.py")

    done = subprocess.run([sys.executable, str(program), str(home)], capture_output=True, text=True, check=False)

    assert done.stdout.split() == ["zombie", "back", "zombie"], done.stderr


def test_a_process_id_that_another_program_got_does_not_keep_the_server_down(
    server: EmbeddedServer, process: int, layout: Layout
) -> None:
    owner = layout.data.stat().st_uid if os.geteuid() == 0 else None
    bystander = subprocess.Popen(["sleep", "600"], **identity(owner))
    try:
        kill(process)
        for file in (layout.data / "postmaster.pid", socket_lock_file(server.socket_directory)):
            _, _, rest = file.read_text().partition("\n")
            file.write_text(f"{bystander.pid}\n{rest}")

        server.ensure_running()
        server.stop()

        assert process_state(bystander.pid) in {"S", "R", "D"}  # asleep or about to be, not ended and not stopped
    finally:
        bystander.kill()
        bystander.wait()


def test_stopping_a_killed_server_signals_no_process(
    server: EmbeddedServer, process: int, layout: Layout, home: Path
) -> None:
    owner = layout.data.stat().st_uid if os.geteuid() == 0 else None
    bystander = subprocess.Popen(["sleep", "600"], **identity(owner))
    try:
        kill(process)
        (layout.data / "postmaster.pid").write_text(f"{bystander.pid}\n{layout.data}\n")

        server.stop()

        assert process_state(bystander.pid) in {"S", "R", "D"}  # asleep or about to be, not ended and not stopped
    finally:
        bystander.kill()
        bystander.wait()
    with EmbeddedServer(home):
        pass  # removes the dead server's shared memory


def test_a_server_that_hangs_is_an_error_after_the_time_limit(
    server: EmbeddedServer, process: int, home: Path, layout: Layout
) -> None:
    with EmbeddedServer(home, start_timeout=timedelta(seconds=1)) as impatient:
        os.kill(process, signal.SIGSTOP)
        try:
            with pytest.raises(EmbeddedServerFailed, match="did not become ready within 0:00:01"):
                impatient.ensure_running()
        finally:
            os.kill(process, signal.SIGCONT)

    server.ensure_running()
    assert server_process(layout.data) == process
