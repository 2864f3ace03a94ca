"""A downgrade never destroys anything in silence: it refuses, it names, it asks."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Coroutine
from typing import Any

import pytest

from livingworld import LivingWorld, NewLoreEntry, NewScene
from livingworld.errors import DataWouldBeLost
from livingworld.postgres import migrations
from livingworld.testing.staged_races import connected
from tests.support.command import PROGRAM, command_environment, run_command

TOLD = "going back from revision 0005 to nothing takes back 0005, 0004, "
LOST = "destroys worlds: 1, stories: 1, scenes: 2, "


def finish(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever the work returns
    return asyncio.run(work)


async def write_a_story(url: str) -> None:
    async with LivingWorld.open(database_url=url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        for text in ("A lantern.", "Nobody."):
            await world.stories.append_scene(story.id, NewScene(text))


@pytest.fixture
def story_url(database_url: str) -> str:
    """Give a database with a world, a story and two scenes."""
    finish(write_a_story(database_url))
    return database_url


@pytest.fixture
def world_url(database_url: str) -> str:
    """Yield a database with a world without stories."""

    async def make_a_world() -> None:
        async with LivingWorld.open(database_url=database_url) as livingworld:
            await livingworld.worlds.create("Saltmarsh")

    finish(make_a_world())
    return database_url


async def worlds(url: str) -> int:
    """Return how many worlds there are."""
    async with connected(url) as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM livingworld.worlds")
        return count


async def scenes(url: str) -> int | None:
    """Return how many scenes there are, None without tables."""
    async with connected(url) as connection:
        there = await connection.fetchval("SELECT to_regclass('livingworld.scenes') IS NOT NULL")
        count: int | None = await connection.fetchval("SELECT count(*) FROM livingworld.scenes") if there else None
        return count


def answered(url: str, *arguments: str, answer: bytes | None) -> tuple[int, str]:
    """Run a downgrade on a terminal, and answer its question, or press Ctrl-C for None; return its code and words."""
    ours, its = pty.openpty()
    command = [sys.executable, "-W", "error", "-c", PROGRAM, "db", "downgrade", *arguments]
    with subprocess.Popen(
        command, env=command_environment(url), stdin=its, stdout=its, stderr=its, start_new_session=True
    ) as process:
        os.close(its)
        said = b""
        while b"[y/N]" not in said:
            said += os.read(ours, 4096)
        if answer is None:
            process.send_signal(signal.SIGINT)
        else:
            os.write(ours, answer)
        try:
            code = process.wait(timeout=60)
        finally:
            process.kill()
    try:
        while more := os.read(ours, 4096):
            said += more
    except OSError:
        pass  # the other side of the terminal is closed
    os.close(ours)
    return code, said.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("arguments", [(), ("--yes",)])
def test_with_data_it_is_refused_and_what_would_be_lost_is_named(story_url: str, arguments: tuple[str, ...]) -> None:
    result = run_command("db", "downgrade", "base", *arguments, database_url=story_url)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("livingworld: ")
    assert result.stderr.count("\n") == 1
    assert TOLD in result.stderr
    assert LOST in result.stderr
    assert "--destroy-data" in result.stderr
    assert finish(scenes(story_url)) == 2


@pytest.mark.parametrize("arguments", [(), ("--destroy-data",)])
def test_without_a_terminal_it_is_refused_without_yes(world_url: str, arguments: tuple[str, ...]) -> None:
    asked = run_command("db", "downgrade", "base", "--destroy-data", database_url=world_url)
    one_back = run_command("db", "downgrade", "0004", *arguments, database_url=world_url)

    assert (asked.returncode, one_back.returncode, asked.stdout, one_back.stdout) == (2, 2, "", "")
    assert "--yes" in asked.stderr
    assert "destroys worlds: 1" in asked.stderr
    assert "takes back 0005 and destroys no row" in one_back.stderr
    assert finish(worlds(world_url)) == 1
    assert finish(migrations.status(world_url)).current == "0005"


def test_a_program_that_says_both_gets_it(story_url: str) -> None:
    done = run_command("db", "downgrade", "base", "--destroy-data", "--yes", database_url=story_url)
    again = run_command("db", "downgrade", "base", database_url=story_url)

    assert (done.returncode, done.stderr) == (0, "")
    assert ": downgraded from revision 0005 to nothing (0005, 0004, " in done.stdout
    assert finish(scenes(story_url)) is None
    assert again.returncode == 0
    assert again.stdout.count("\n") == 1


def test_what_costs_no_row_needs_no_permission_to_destroy(world_url: str) -> None:
    result = run_command("db", "downgrade", "0004", "--yes", database_url=world_url)

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith(": downgraded from revision 0005 to revision 0004 (0005)\n")
    assert finish(worlds(world_url)) == 1


@pytest.mark.parametrize(("answer", "code", "left"), [(b"y\n", 0, None), (b"n\n", 1, 2), (b"\n", 1, 2), (None, 130, 2)])
def test_on_a_terminal_it_asks(story_url: str, answer: bytes | None, code: int, left: int | None) -> None:
    found, said = answered(story_url, "base", "--destroy-data", answer=answer)

    assert found == code, said
    assert LOST in said
    assert "Traceback" not in said
    assert finish(scenes(story_url)) == left


async def test_the_function_refuses_to_destroy_data_by_default(database_url: str) -> None:
    await write_a_story(database_url)
    with pytest.raises(DataWouldBeLost) as refused:
        await migrations.downgrade(database_url, "base")
    async with LivingWorld.open(database_url=database_url) as livingworld:
        (record,) = (await livingworld.worlds.list()).items
        world = await livingworld.worlds.get(record.id)
        entry = await world.lore.add(NewLoreEntry("The lamp.", ["lamp"]))
        await world.lore.update(entry.id, expected_version=1, title="Lamp")
    with pytest.raises(DataWouldBeLost) as of_the_story:
        await migrations.downgrade(database_url, "0004")

    assert refused.value.lost.items() >= {"worlds": 1, "stories": 1, "scenes": 2}.items()
    assert len(refused.value.revisions) == 5
    assert of_the_story.value.revisions == ("0005",)
    assert of_the_story.value.lost.items() >= {"scenes": 2, "lore_entries": 1, "revisions": 1}.items()
    assert "worlds" not in of_the_story.value.lost
    assert await scenes(database_url) == 2
    done = await migrations.downgrade(database_url, "base", destroy_data=True)
    assert (done.before, done.after, done.lost["scenes"]) == ("0005", None, 2)
    assert await scenes(database_url) is None


async def test_a_look_at_what_a_downgrade_would_do_changes_nothing(database_url: str) -> None:
    await write_a_story(database_url)
    plan = await migrations.preview_downgrade(database_url, "0001")

    assert plan.revisions == [f"{number:04}" for number in range(5, 1, -1)]
    assert (await migrations.status(database_url)).current == "0005"
    assert await scenes(database_url) == 2
