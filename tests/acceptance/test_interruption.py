"""Ctrl-C at every moment of a command: exit code 130, and no traceback."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from livingworld.embedded_server import find_binaries
from livingworld.embedded_server.binaries import read_major_version
from livingworld.embedded_server.layout import Layout
from livingworld.postgres.upgrades.turn import LOCK_KEY
from livingworld.testing.staged_races import holding
from tests.support.command import command_environment, start_command
from tests.support.embedded_servers import server_process

PROGRAM: Final = Path(__file__).with_name("interrupted_program.py")
ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = timedelta(minutes=2)
#: Moments before any database is needed, and while it is reached for.
MOMENTS: Final = (
    ("import", "'livingworld.cli'"),
    ("import", "'sqlalchemy'"),
    ("import", "'asyncpg'"),
    ("import", "'typer'"),
    ("import", "'alembic'"),
    ("socket.__new__", ""),
    ("socket.connect", ""),
)
#: Moments of an embedded server whose directory is not there yet.
SERVER_MOMENTS: Final = ("initdb --version", "initdb -D", "pg_ctl start", "pg_ctl stop")


def is_quiet(complaint: str) -> bool:
    """Return whether nothing is in it but which server is used."""
    said = "\n".join(
        line for line in complaint.splitlines() if not line.startswith("livingworld: the embedded server, ")
    )
    return not any(word in said for word in ("Traceback", "Error", "error", "Exception", "never", "livingworld: "))


def run_interrupted(
    event: str, text: str, *arguments: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command that presses Ctrl-C itself, in a process group of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", str(PROGRAM), event, text, *arguments],
        env=environment | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        encoding="utf-8",
        start_new_session=True,
        timeout=PATIENCE.total_seconds(),
    )


@pytest.mark.rotates(parts=3)
@pytest.mark.parametrize(("event", "text"), MOMENTS)
def test_the_first_second_is_quiet(database_url: str, event: str, text: str) -> None:
    result = run_interrupted(event, text, "db", "status", environment=command_environment(database_url))

    assert (result.returncode, result.stdout) == (130, ""), result.stderr
    assert is_quiet(result.stderr), result.stderr


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("moment", SERVER_MOMENTS)
def test_an_embedded_server_that_starts_or_stops_is_left_in_order(
    newcomer: dict[str, str], fresh_home: Path, moment: str
) -> None:
    program, action = moment.split()
    meant = f"{program}', '{action}'"
    result = run_interrupted("subprocess.Popen", meant, "db", "upgrade", environment=newcomer)

    assert result.returncode == 130, result.stderr
    assert is_quiet(result.stderr), result.stderr
    layout = Layout(fresh_home.resolve(), read_major_version(find_binaries()))
    assert server_process(layout.data) is None


async def test_a_command_that_waits_for_a_migration_ends_at_once(database_url: str) -> None:
    lock = "SELECT pg_advisory_xact_lock($1)"
    async with holding(database_url, lock, [LOCK_KEY]) as holder:
        with start_command("db", "upgrade", database_url=database_url) as running:
            await holder.until_blocked(patience=PATIENCE)
            running.send_signal(signal.SIGINT)
            told, complaint = running.communicate(timeout=PATIENCE.total_seconds())

    assert (running.returncode, told, complaint) == (130, "", "")


async def test_the_second_one_ends_a_command_that_still_cleans_up(database_url: str) -> None:
    with start_command("demo", "--purge", "--players", "2", database_url=database_url) as running:
        async with holding(database_url, "LOCK TABLE livingworld.worlds IN SHARE MODE") as holder:
            await holder.until_blocked(patience=PATIENCE)  # the world of the demo is not there yet, or its purge waits
            running.send_signal(signal.SIGINT)
            running.send_signal(signal.SIGINT)
            told, complaint = running.communicate(timeout=PATIENCE.total_seconds())

    assert (running.returncode, told) == (130, "")
    assert is_quiet(complaint), complaint


def names(folder: Path) -> list[str]:
    """Return the command lines that name a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [command for command in found if str(folder) in command]


@pytest.mark.rotates(parts=2)
@pytest.mark.parametrize("program", ["initdb", "postgres"])
def test_make_demo_is_as_quiet(newcomer: dict[str, str], fresh_home: Path, program: str) -> None:
    venv = os.path.relpath(sys.prefix, ROOT)
    # -o: installed files are not built again.
    make = ["make", f"VENV={venv}", "-o", f"{venv}/.ready", "demo"]
    with subprocess.Popen(
        make, cwd=ROOT, env=newcomer, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        while not any(program in command for command in names(fresh_home)):
            assert running.poll() is None
        os.killpg(running.pid, signal.SIGINT)
        _, complaint = running.communicate(timeout=PATIENCE.total_seconds())

    # make tells the signal that it got itself, or what became of the demo, if that ended first
    assert running.returncode in {130, -signal.SIGINT} or "Error 130" in complaint, complaint
    assert is_quiet("\n".join(line for line in complaint.splitlines() if not line.startswith("make: ")))
    while names(fresh_home):  # the supervisor looks twice a second whether it is still of use
        pass
