from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from livingworld.embedded_server import EmbeddedServer, file_lock
from livingworld.embedded_server.layout import Layout
from livingworld.errors import EmbeddedServerFailed
from tests.faults.embedded_server.programs import ClientProgram
from tests.support.embedded_servers import ask_server, kill, needs_linux, server_process, supervisor_process, wait_for

pytestmark = [needs_linux, pytest.mark.any_server]
Launch = Callable[..., ClientProgram]


@pytest.mark.first_start
def test_two_processes_that_start_at_the_same_instant_share_one_server(client: Launch, layout: Layout) -> None:
    first, second = client(), client()

    first.say("start")
    second.say("start")
    first.hear("start done")
    second.hear("start done")
    shared = server_process(layout.data)
    first.do("stop")

    assert shared is not None
    assert server_process(layout.data) == shared
    second.do("stop")
    assert server_process(layout.data) is None


def test_a_client_killed_with_9_no_longer_counts(client: Launch, layout: Layout) -> None:
    killed, survivor = client(), client()
    killed.do("start")
    survivor.do("start")

    killed.kill()
    survivor.do("ensure")

    assert server_process(layout.data) is not None
    survivor.do("stop")
    assert server_process(layout.data) is None


def test_a_server_whose_client_and_supervisor_were_killed_is_used_and_stopped_by_the_next(
    client: Launch, home: Path, layout: Layout
) -> None:
    killed = client()
    killed.do("start")
    orphan, supervisor = server_process(layout.data), supervisor_process(layout)
    assert supervisor is not None
    kill(supervisor)
    killed.kill()

    with EmbeddedServer(home):
        assert server_process(layout.data) == orphan is not None

    assert server_process(layout.data) is None


def test_a_process_that_ends_without_stop_leaves_no_server(client: Launch, layout: Layout) -> None:
    forgetful = client()
    forgetful.do("start")

    forgetful.say("leave")

    assert forgetful.wait() == 0
    assert server_process(layout.data) is None


def test_a_forked_child_keeps_the_server_of_its_parent(client: Launch, home: Path, layout: Layout) -> None:
    os.mkfifo(home / "release-child")
    parent = client()
    parent.do("start")
    parent.do("fork")

    parent.do("stop")

    assert server_process(layout.data) is not None
    os.close(os.open(home / "release-child", os.O_WRONLY))
    wait_for(lambda: file_lock.is_free(layout.clients_lock))  # the child has ended
    with EmbeddedServer(home):
        pass  # counts again from zero
    assert server_process(layout.data) is None


def test_servers_of_one_process_count_separately(home: Path, layout: Layout) -> None:
    first, second = EmbeddedServer(home, durable=False), EmbeddedServer(home, durable=False)

    first.start()
    second.start()
    first.stop()

    assert ask_server(second, "SELECT 1") == 1
    second.stop()
    assert server_process(layout.data) is None


def test_starting_twice_counts_once(home: Path, layout: Layout) -> None:
    server = EmbeddedServer(home, durable=False)

    server.start()
    server.start()
    server.stop()

    assert server_process(layout.data) is None


def test_threads_may_start_and_stop_one_object_at_once(home: Path, layout: Layout) -> None:
    server = EmbeddedServer(home, durable=False)
    threads = [threading.Thread(target=step) for step in [server.start, server.stop] * 4]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    server.stop()
    assert server_process(layout.data) is None


@pytest.mark.first_start
def test_a_server_that_was_not_started_is_not_stopped_and_not_revived(home: Path, layout: Layout) -> None:
    server = EmbeddedServer(home, durable=False)

    server.stop()

    with pytest.raises(EmbeddedServerFailed, match="start"):
        server.ensure_running()
    assert not layout.directory.exists()
