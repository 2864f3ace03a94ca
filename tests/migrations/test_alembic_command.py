"""The command `alembic` in the checkout: as SQL to run by hand, and on a named database."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.config import main
from sqlalchemy import make_url

from livingworld import LivingWorld
from livingworld.embedded_server import find_binaries
from livingworld.postgres import migrations
from livingworld.schema import metadata
from livingworld.story.worlds.isolation import isolate
from livingworld.testing.staged_races import connected
from tests.migrations.catalogs import catalog
from tests.support.command import run_in_fork
from tests.support.run_role import give_rights

pytestmark = pytest.mark.any_server

ROOT = Path(__file__).parents[2]
NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"


def alembic(*arguments: str, url: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run alembic in the checkout with nothing but the URL in its environment, in a fork of what has imported it."""
    return run_in_fork(main, ("alembic", *arguments), environment(url), ROOT)


def environment(url: str | None) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LIVINGWORLD_")}
    return ours | ({} if url is None else {"LIVINGWORLD_DATABASE_URL": url})


async def run_script(url: str, script: Path) -> None:
    """Run a file by psql."""
    psql = find_binaries() / "psql"
    target = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    command = [str(psql), "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-q", "-d", target, "-f", str(script)]
    done = await asyncio.to_thread(subprocess.run, command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("url", [None, NOWHERE])
def test_writing_sql_touches_nothing(url: str | None) -> None:
    written = alembic("upgrade", "head", "--sql", url=url)

    assert (written.returncode, written.stderr) == (0, "")
    assert "CREATE TABLE livingworld.worlds" in written.stdout


def test_the_command_of_a_new_interpreter_says_the_same() -> None:
    command = [sys.executable, "-m", "alembic", "upgrade", "head", "--sql"]
    written = subprocess.run(command, cwd=ROOT, env=environment(None), check=False, capture_output=True, text=True)

    assert (written.returncode, written.stderr) == (0, "")
    assert written.stdout == alembic("upgrade", "head", "--sql").stdout


async def make_pgvector(url: str) -> bool:
    """Make the extension where the server has it; return whether it has."""
    async with connected(url) as connection:
        has = await connection.fetchval("SELECT count(*) = 1 FROM pg_available_extensions WHERE name = 'vector'")
        if has:
            await connection.execute("CREATE EXTENSION vector SCHEMA public")
        return bool(has)


@pytest.mark.parametrize("extension_is_there", [False, True])
async def test_the_sql_makes_of_an_empty_database_what_an_upgrade_makes(
    empty_database_url: str, database_url: str, tmp_path: Path, *, extension_is_there: bool
) -> None:
    with_pgvector = extension_is_there and await make_pgvector(empty_database_url)
    script = tmp_path / "up.sql"
    script.write_text(alembic("upgrade", "head", "--sql").stdout)
    await run_script(empty_database_url, script)
    made, migrated = await catalog(empty_database_url), await catalog(database_url)
    compared = await migrations.check(empty_database_url, metadata)
    nothing_ran = await migrations.upgrade(empty_database_url)

    assert ("unnest" in made["functions"]["vector_similarity"].lower()) is not with_pgvector
    assert ("hnsw" in made["functions"]["nearest_memories"]) is with_pgvector
    if not with_pgvector:  # an upgrade may make the extension, a script does not
        for function in ("vector_similarity", "nearest_memories"):
            made["functions"].pop(function)
            migrated["functions"].pop(function)
    assert made == migrated
    assert compared == []
    assert nothing_ran.revisions == []
    assert await catalog(empty_database_url) == await catalog(database_url)


async def test_the_sql_of_the_way_back_leaves_nothing(database_url: str, tmp_path: Path) -> None:
    script = tmp_path / "down.sql"
    script.write_text(alembic("downgrade", "head:base", "--sql").stdout)
    await isolate(database_url, on=False, lock_timeout=timedelta(seconds=10))
    await run_script(database_url, script)

    assert {kind: {} for kind in await catalog(database_url)} == await catalog(database_url)


def test_without_a_url_it_says_what_is_missing() -> None:
    for arguments in (("upgrade", "head"), ("current",)):
        result = alembic(*arguments)
        assert result.returncode != 0
        assert "set LIVINGWORLD_DATABASE_URL" in result.stdout + result.stderr
        assert "Traceback" not in result.stderr


def test_a_server_that_is_away_is_one_line() -> None:
    result = alembic("upgrade", "head", url=NOWHERE)

    assert result.returncode != 0
    assert (result.stdout + result.stderr).count("\n") == 1


async def test_it_migrates_the_named_database_and_destroys_nothing_in_silence(empty_database_url: str) -> None:
    up = await asyncio.to_thread(alembic, "upgrade", "head", url=empty_database_url)
    await give_rights(empty_database_url)
    async with LivingWorld.open(database_url=empty_database_url) as livingworld:
        await livingworld.worlds.create("Saltmarsh")
    refused = await asyncio.to_thread(alembic, "downgrade", "base", url=empty_database_url)
    kept = await migrations.status(empty_database_url)
    done = await asyncio.to_thread(alembic, "-x", "destroy-data=yes", "downgrade", "base", url=empty_database_url)
    gone = await migrations.status(empty_database_url)

    assert (up.returncode, done.returncode) == (0, 0)
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    assert (kept.current, gone.current) == (kept.head, None)
