"""The embedded server's tables become those of the release that opens it; a server of one's own keeps what it has."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from alembic.script import ScriptDirectory

from livingworld import LivingWorld
from livingworld.embedded_server import EmbeddedServer, find_binaries
from livingworld.errors import EmbeddedServerFailed, SchemaNotReady, SchemaTooNew
from livingworld.observability import events
from livingworld.postgres import migrations
from livingworld.postgres.upgrades.turn import LOCK_KEY
from livingworld.testing.staged_races import holding
from tests.support.embedded_servers import ask_server, make_home, needs_linux, remove_home

pytestmark = needs_linux
PROGRAM: Final = """
import asyncio
from livingworld import LivingWorld

async def main():
    async with LivingWorld.open() as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        print((await livingworld.worlds.get(world.id)).record.name)

asyncio.run(main())
"""


@pytest.fixture
def new_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a home for the embedded server of `LivingWorld.open()`, which does not exist yet."""
    try:
        find_binaries()
    except EmbeddedServerFailed as error:
        pytest.skip(str(error))
    parent = make_home()
    monkeypatch.setenv("LIVINGWORLD_HOME", str(parent / "livingworld"))
    monkeypatch.delenv("LIVINGWORLD_DATABASE_URL", raising=False)
    yield parent / "livingworld"
    remove_home(parent)


def start(*arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-W", "error", *arguments], text=True, stdout=pipe, stderr=pipe)


def test_programs_that_start_at_once_on_a_new_machine_all_work(new_home: Path) -> None:
    programs = [start("-c", PROGRAM) for _ in range(3)]
    told = [program.communicate() for program in programs]

    assert [program.returncode for program in programs] == [0] * 3, told
    assert told == [("Saltmarsh\n", "")] * 3


async def test_an_event_says_which_server_is_used(new_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[events.Event, dict[str, object]]] = []
    monkeypatch.setattr(events, "emit", lambda event, **fields: heard.append((event, fields)))

    async with LivingWorld.open():
        pass

    ((_, fields),) = [each for each in heard if each[0] is events.EMBEDDED_SERVER_STARTED]
    version = str(fields["version"])
    assert fields["data_directory"] == f"{new_home}/postgresql-{version.partition('.')[0]}/data"
    assert fields.keys() == events.EMBEDDED_SERVER_STARTED.fields


def test_the_command_line_says_in_one_line_which_server_it_uses(new_home: Path) -> None:
    process = start("-c", "from livingworld.cli import main; main()", "db", "status")
    told, said = process.communicate()

    assert process.returncode == 1
    assert told.startswith("not migrated yet")
    assert said.count("\n") == 1
    assert "embedded server, PostgreSQL " in said
    assert str(new_home) in said


@pytest.mark.plain_server("the test has a plain server of its own, and the look at locks is that of a cluster")
async def test_of_several_that_open_it_one_migrates_and_the_others_wait(own_server: EmbeddedServer) -> None:
    async def use() -> str:
        async with LivingWorld.open() as livingworld:
            return (await livingworld.worlds.create("Saltmarsh")).record.name

    url = own_server.url()
    async with holding(url, "SELECT pg_advisory_xact_lock($1)", [LOCK_KEY]) as holder:
        program = await asyncio.to_thread(start, "-c", PROGRAM)
        here = asyncio.create_task(use())
        await holder.until_blocked(count=2, patience=timedelta(minutes=2))
    told, said = await asyncio.to_thread(program.communicate)

    assert await here == "Saltmarsh"
    assert (told, said) == ("Saltmarsh\n", "")


async def test_tables_of_an_older_release_are_brought_up_to_date(own_server: EmbeddedServer) -> None:
    url = own_server.url()
    await migrations.upgrade(url, "0004")

    async with LivingWorld.open() as livingworld:
        await livingworld.worlds.create("Saltmarsh")

    assert not (await migrations.status(url)).pending


async def test_tables_that_are_up_to_date_are_left_alone(
    own_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    await migrations.upgrade(own_server.url())
    monkeypatch.setattr(migrations, "upgrade", refuse)
    async with LivingWorld.open() as livingworld:
        await livingworld.worlds.create("Saltmarsh")


async def test_tables_of_a_newer_release_are_refused_by_name_and_stay(own_server: EmbeddedServer) -> None:
    await migrations.upgrade(own_server.url())
    ask_server(own_server, "UPDATE livingworld.alembic_version SET version_num = '9999'")

    with pytest.raises(SchemaTooNew, match=r"newer release.*9999") as raised:
        async with LivingWorld.open():
            pass

    assert raised.value.revision == "9999"
    assert ask_server(own_server, "SELECT version_num FROM livingworld.alembic_version") == "9999"
    assert ask_server(own_server, "SELECT count(*) FROM livingworld.worlds") == 0


async def test_a_server_of_ones_own_is_not_migrated_and_the_error_says_how(empty_database_url: str) -> None:
    async with LivingWorld.open(database_url=empty_database_url) as livingworld:
        with pytest.raises(SchemaNotReady, match="run `livingworld db upgrade`") as raised:
            await livingworld.worlds.create("Saltmarsh")

    assert "\n" not in str(raised.value)
    assert (await migrations.status(empty_database_url)).current is None


def test_the_revisions_that_are_known_are_those_of_alembic() -> None:
    scripts = ScriptDirectory(str(migrations.script_location()))

    assert migrations.revisions() == sorted(script.revision for script in scripts.walk_revisions())
    assert migrations.revisions()[-1] == scripts.get_current_head()
