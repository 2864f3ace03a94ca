from __future__ import annotations

import os
import pwd
import signal
import stat
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from livingworld.embedded_server import EmbeddedServer, file_lock
from livingworld.embedded_server.deadline import Deadline
from livingworld.embedded_server.layout import Layout
from livingworld.observability import events
from tests.faults.embedded_server.programs import ClientProgram
from tests.faults.embedded_server.scripted_binaries import ScriptedBinaries
from tests.support.embedded_servers import (
    ask_server,
    kill,
    needs_linux,
    needs_root,
    server_process,
    supervisor_process,
    times_asleep,
    wait_for,
)

pytestmark = [needs_linux, pytest.mark.any_server]
Launch = Callable[..., ClientProgram]


def wait_until_nothing_runs(layout: Layout) -> None:
    wait_for(lambda: file_lock.is_free(layout.server_lock) and file_lock.is_free(layout.supervisor_lock))
    assert server_process(layout.data) is None


def wait_until_it_looked(supervisor: int | None) -> None:
    """Return when a supervisor has looked at least once from now on; it goes to sleep after each look."""
    assert supervisor is not None
    before = times_asleep(supervisor)
    wait_for(lambda: times_asleep(supervisor) > before + 1)


@pytest.mark.rotates(parts=3)
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_server_ends_with_its_last_client_however_that_ended(
    client: Launch, layout: Layout, ending: signal.Signals
) -> None:
    terminated, killed = client(), client()
    terminated.do("start")
    killed.do("start")

    terminated.end_by(ending)
    killed.do("ensure")  # one is left
    assert server_process(layout.data) is not None
    killed.end_by(ending)

    wait_until_nothing_runs(layout)


def test_a_supervisor_survives_what_ends_everything_around_its_client(client: Launch, layout: Layout) -> None:
    family = client(start_new_session=True)
    family.do("start")
    supervisor = supervisor_process(layout)
    assert supervisor is not None
    for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(supervisor, ending)

    os.killpg(family.pid, signal.SIGKILL)

    wait_until_nothing_runs(layout)


def test_a_supervisor_is_no_child_of_its_client_and_holds_nothing_of_it(client: Launch, layout: Layout) -> None:
    starter = client()
    starter.do("start")
    supervisor = supervisor_process(layout)
    process = Path(f"/proc/{supervisor}")

    open_files = {file.readlink() for file in (process / "fd").iterdir()}
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    parent, session = int(fields[1]), int(fields[3])

    assert open_files - {layout.start_lock, layout.clients_lock} == {Path(os.devnull), layout.supervisor_lock}
    assert (process / "cwd").readlink() == Path("/")
    assert starter.pid not in {parent, session}
    assert session != os.getsid(0)


def test_one_supervisor_watches_a_server_while_clients_come_and_go(client: Launch, home: Path, layout: Layout) -> None:
    first, second = client(), client()
    first.do("start")
    supervisor = supervisor_process(layout)

    second.do("start")
    first.do("stop")
    with EmbeddedServer(home):
        assert supervisor_process(layout) == supervisor is not None

    second.do("stop")
    assert server_process(layout.data) is None
    wait_until_nothing_runs(layout)


def test_a_client_that_comes_while_the_last_one_is_found_dead_keeps_the_server(client: Launch, layout: Layout) -> None:
    killed = client()
    killed.do("start")
    process, supervisor = server_process(layout.data), supervisor_process(layout)
    with file_lock.exclusive(layout.start_lock, Deadline(timedelta(seconds=30))):
        killed.kill()
        wait_until_it_looked(supervisor)  # and decides nothing while another one starts
        newcomer = file_lock.join(layout.clients_lock)

    with newcomer:
        wait_until_it_looked(supervisor)
        assert server_process(layout.data) == process is not None

    wait_until_nothing_runs(layout)


def test_a_client_that_comes_while_the_server_is_being_stopped_gets_a_new_one(
    client: Launch, home: Path, layout: Layout
) -> None:
    scripted = ScriptedBinaries(home, waits_at="stop")
    killed, newcomer = client(binaries=scripted.directory), client()
    killed.do("start")
    before = server_process(layout.data)

    killed.kill()
    scripted.until_it_waits()
    newcomer.say("start")
    scripted.go_on()
    newcomer.hear("start done")

    assert server_process(layout.data) not in {None, before}
    newcomer.kill()
    wait_until_nothing_runs(layout)


def test_a_server_that_comes_up_after_its_starter_was_killed_is_ended(
    client: Launch, home: Path, layout: Layout
) -> None:
    with EmbeddedServer(home, durable=False):
        pass
    scripted = ScriptedBinaries(home, waits_at="start")
    killed = client(binaries=scripted.directory)
    killed.say("start")
    scripted.until_it_waits()

    supervisor = supervisor_process(layout)
    killed.kill()
    wait_until_it_looked(supervisor)
    scripted.go_on()
    wait_for((layout.data / "postmaster.pid").exists)

    wait_until_nothing_runs(layout)


@pytest.mark.first_start
def test_a_starter_killed_in_initdb_leaves_no_process(client: Launch, layout: Layout) -> None:
    killed = client()
    killed.say("start")
    wait_for(lambda: any(layout.directory.glob("unfinished-*/PG_VERSION")))

    killed.kill()

    wait_until_nothing_runs(layout)


def test_a_server_that_another_client_started_again_is_ended_too(client: Launch, layout: Layout) -> None:
    starter, other = client(), client()
    starter.do("start")
    other.do("start")
    process = server_process(layout.data)
    assert process is not None

    kill(process)
    other.do("ensure")
    assert server_process(layout.data) not in {None, process}
    starter.kill()
    other.kill()

    wait_until_nothing_runs(layout)


@pytest.mark.rotates(parts=3)
@pytest.mark.parametrize("comes_or_goes", ["start", "stop", "start again"])
def test_a_killed_supervisor_is_replaced_by_the_next_client_that_comes_or_goes(
    client: Launch, layout: Layout, comes_or_goes: str
) -> None:
    stays, other = client(), client()
    stays.do("start")
    if comes_or_goes != "start":
        other.do("start")
    process, supervisor = server_process(layout.data), supervisor_process(layout)
    assert process is not None
    assert supervisor is not None

    kill(supervisor)
    if comes_or_goes == "start again":
        kill(process)
        other.do("ensure")
    else:
        assert server_process(layout.data) == process  # without harm
        other.do(comes_or_goes)

    assert supervisor_process(layout) is not None
    wait_for(lambda: supervisor_process(layout) != supervisor)  # it writes its own id after it has the lock
    stays.kill()
    other.kill()
    wait_until_nothing_runs(layout)


@needs_root
@pytest.mark.first_start
def test_a_plain_users_server_is_supervised_by_that_user(client: Launch, home: Path, layout: Layout) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(home, nobody, -1)
    plain = client(uid=nobody)
    plain.do("start")

    assert Path(f"/proc/{supervisor_process(layout)}").stat().st_uid == nobody
    plain.kill()
    wait_until_nothing_runs(layout)


def test_a_supervisor_of_a_removed_home_ends(home: Path, layout: Layout) -> None:
    with EmbeddedServer(home, durable=False):
        supervisor = supervisor_process(layout)
        moved = home.with_name(f"{home.name}-moved")
        home.rename(moved)
        try:
            wait_for(lambda: not Path(f"/proc/{supervisor}").exists())
        finally:
            moved.rename(home)


@pytest.mark.first_start
def test_a_home_with_a_space_and_letters_beyond_ascii_is_supervised(client: Launch, home: Path, layout: Layout) -> None:
    there = home / "Märchen & 船 'sea'"
    here = Layout(there.resolve(), layout.major_version)
    teller = client(at=there)
    teller.do("start")
    sockets = EmbeddedServer(there).socket_directory
    assert stat.S_ISDIR(sockets.stat().st_mode)

    teller.kill()

    wait_until_nothing_runs(here)
    assert here.directory in sockets.parents or not sockets.exists()


def test_where_there_is_no_python_to_supervise_the_server_runs_and_an_event_says_so(
    home: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[events.Event] = []
    monkeypatch.setattr(events, "emit", lambda event, **_: heard.append(event))
    monkeypatch.setattr(sys, "frozen", True, raising=False)

    with EmbeddedServer(home, durable=False) as server:
        assert ask_server(server, "SELECT 1") == 1
        assert supervisor_process(layout) is None

    assert heard == [events.EMBEDDED_SERVER_NOT_SUPERVISED]
    assert server_process(layout.data) is None


@pytest.mark.first_start
def test_a_child_forked_while_another_thread_starts_does_not_keep_the_start_lock(home: Path, layout: Layout) -> None:
    layout.directory.mkdir()
    reading, writing = os.pipe()
    with file_lock.exclusive(layout.start_lock, Deadline(timedelta(seconds=5))):
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)

    free = file_lock.is_free(layout.start_lock)
    os.close(reading)
    os.close(writing)
    os.waitpid(child, 0)
    assert free
