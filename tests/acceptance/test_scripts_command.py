"""`livingworld scripts sync` as a process: what is written into a folder runs, whole and right, or it does not."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from subprocess import Popen
from typing import Any, Final, TypeVar

import pytest

from livingworld import LivingWorld, World
from tests.support.command import run_command, start_command
from tests.support.patience import PATIENCE, until

T = TypeVar("T")

THE_END: Final = "The end."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "prompts"
    made.mkdir()
    return made


@pytest.fixture
def database(database_url: str) -> str:
    """Give a database with one world."""

    async def create() -> None:
        async with LivingWorld.open(database_url=database_url) as livingworld:
            await livingworld.worlds.create("Saltmarsh")

    asyncio.run(create())
    return database_url


def with_world(url: str, work: Callable[[World], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        async with LivingWorld.open(database_url=url) as livingworld:
            (record,) = (await livingworld.worlds.list()).items
            return await work(await livingworld.worlds.get(record.id))

    return asyncio.run(run())


def stored(url: str, name: str) -> list[str]:
    """Return the texts of all versions of a script."""

    async def read(world: World) -> list[str]:
        versions = (await world.scripts.versions(name)).items
        return [(await world.scripts.get(name, each.version)).body for each in reversed(versions)]

    return with_world(url, read)


def names(url: str) -> dict[str, int | None]:
    async def read(world: World) -> dict[str, int | None]:
        return {head.name: head.active_version for head in (await world.scripts.list()).items}

    return with_world(url, read)


@contextmanager
def watching(url: str, folder: Path) -> Iterator[Popen[str]]:
    with start_command("scripts", "sync", str(folder), "--watch", database_url=url) as process:
        yield process


def told(process: Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


def complained(process: Popen[str]) -> str:
    assert process.stderr
    return process.stderr.readline()


def test_files_are_published_by_name_and_again_only_when_they_differ(database: str, folder: Path) -> None:
    (folder / "chapters").mkdir()
    (folder / "narrator.j2").write_text("Tell of {{ who }}.")
    (folder / "chapters" / "one.prompt.md").write_text("{% not a template")
    first = run_command("scripts", "sync", str(folder), database_url=database)
    again = run_command("scripts", "sync", str(folder), "--once", database_url=database)
    (folder / "narrator.j2").write_text("Tell more of {{ who }}.")
    changed = run_command("scripts", "sync", str(folder), database_url=database)
    with_world(database, lambda world: world.scripts.rollback("narrator"))
    after_rollback = run_command("scripts", "sync", str(folder), database_url=database)

    assert sorted(first.stdout.splitlines()) == [
        "published chapters/one.prompt version 1",
        "published narrator version 1",
    ]
    assert changed.stdout == "published narrator version 2\n"
    assert [(each.returncode, each.stderr) for each in (first, again, changed, after_rollback)] == [(0, "")] * 4
    assert (again.stdout, after_rollback.stdout) == ("", "")
    assert names(database) == {"chapters/one.prompt": 1, "narrator": 1}
    assert stored(database, "narrator") == ["Tell of {{ who }}.", "Tell more of {{ who }}."]


#: What is refused of a folder that was filled with mistakes, and a part of the reason.
REFUSED: Final = {
    "broken.j2": "line 2: ",
    "dangling.txt": "leads nowhere",
    "elsewhere": "link to a folder",
    "huge.txt": "more than 4000000 bytes",
    "large.txt": "has 1000001 characters",
    "latin.txt": "not UTF-8 at byte 1",
    "link.txt": "out of the folder",
    "nothing.txt": "U+0000",
    "pipe.txt": "no ordinary file",
    "twice.md": "same script as twice.txt",
    "twice.txt": "same script as twice.md",
}


def fill_with_mistakes(folder: Path, outside: Path) -> None:
    """Write the files that REFUSED names, and some that editors leave."""
    (outside / "secret.txt").write_text("outside")
    (folder / "broken.j2").write_text("one\n{% if %}")
    (folder / "link.txt").symlink_to(outside / "secret.txt")
    (folder / "elsewhere").symlink_to(outside, target_is_directory=True)
    (folder / "dangling.txt").symlink_to(folder / "never.txt")
    (folder / "latin.txt").write_bytes("Möwe".encode("latin-1"))
    (folder / "nothing.txt").write_bytes(b"a\x00b")
    (folder / "huge.txt").write_text("x" * 4_000_001)
    (folder / "large.txt").write_text("x" * 1_000_001)
    (folder / "twice.txt").write_text("one")
    (folder / "twice.md").write_text("two")
    os.mkfifo(folder / "pipe.txt")
    for ignored in ("good.txt~", ".good.txt.swp", ".hidden", "#good.txt#", "good.tmp", "4913"):
        (folder / ignored).write_text("ignored")


def test_what_cannot_be_published_is_named_and_the_rest_goes(database: str, folder: Path, tmp_path: Path) -> None:
    fill_with_mistakes(folder, tmp_path)
    (folder / "good.txt").write_text("good")
    (folder / "inside.txt").symlink_to(folder / "good.txt")
    result = run_command("scripts", "sync", str(folder), database_url=database)

    assert result.returncode == 1
    assert names(database) == {"good": 1, "inside": 1}
    complaints = dict(line.removeprefix("livingworld: ").split(": ", 1) for line in result.stderr.splitlines())
    assert complaints.keys() == REFUSED.keys()
    assert {path: reason for path, reason in complaints.items() if REFUSED[path] not in reason} == {}


def test_a_file_that_grows_is_published_when_it_stands_still(database: str, folder: Path) -> None:
    with watching(database, folder) as process:
        (folder / "first.txt").write_text("the folder is watched")
        assert told(process) == "published first version 1\n"
        for number in itertools.count():
            longest = grow(folder / f"tale-{number}.txt")
            while told(process) and not stored(database, f"tale-{number}")[-1].endswith(THE_END):
                pass
            if longest < 0.1:  # else the machine let the file stand still in the middle
                break

    assert len(stored(database, f"tale-{number}")) == 1


def grow(path: Path) -> float:
    """Write a file little by little; return the longest time in seconds for which it stood still."""
    moments = []
    with path.open("w") as file:
        for half in range(40):
            file.write(f"half {half}. ")
            file.flush()
            moments.append(time.monotonic())
            time.sleep(0.05)
        file.write(THE_END)
    moments.append(time.monotonic())
    return max(later - earlier for earlier, later in pairwise(moments))


def test_a_watched_folder_is_followed_through_renames_removals_and_mistakes(database: str, folder: Path) -> None:
    file, other = folder / "narrator.j2", folder / "rules.txt"
    with watching(database, folder) as process:
        file.write_text("v1")
        assert told(process) == "published narrator version 1\n"
        (folder / ".narrator.new").write_text("v2")
        (folder / ".narrator.new").rename(file)
        assert told(process) == "published narrator version 2\n"
        file.write_text("fine\n{{ v3")
        assert complained(process).startswith("livingworld: narrator.j2: line 2: ")
        other.write_text("a broken one holds up no other")
        assert told(process) == "published rules version 1\n"
        file.unlink()
        file.write_text("v3")
        assert told(process) == "published narrator version 3\n"
        file.unlink()
        other.write_text("and nothing is removed")
        assert told(process) == "published rules version 2\n"
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=PATIENCE.total_seconds())
        assert (process.returncode, *rest) == (0, "", "")

    assert stored(database, "narrator") == ["v1", "v2", "v3"]
    assert names(database) == {"narrator": 3, "rules": 2}


def test_all_files_of_one_look_come_into_service_at_once(database: str, folder: Path) -> None:
    for number in range(20):
        (folder / f"{number}.txt").write_text("v1")

    async def follow(world: World) -> set[int]:
        seen = set()
        async with world.scripts.following():
            sync = asyncio.create_task(
                asyncio.to_thread(run_command, "scripts", "sync", str(folder), database_url=database)
            )

            def look() -> bool:
                seen.add(len(world.scripts.catalogue))
                return sync.done() and 20 in seen

            await until(look)
            assert sync.result().returncode == 0
        return seen

    assert with_world(database, follow) == {0, 20}


def test_a_world_must_be_named_unless_there_is_one(database_url: str, folder: Path) -> None:
    async def create() -> str:
        async with LivingWorld.open(database_url=database_url) as livingworld:
            for name in ("Saltmarsh", "Fen"):
                world = await livingworld.worlds.create(name)
            return str(world.id)

    none = run_command("scripts", "sync", str(folder), database_url=database_url)
    world_id = asyncio.run(create())
    several = run_command("scripts", "sync", str(folder), database_url=database_url)
    named = run_command("scripts", "sync", str(folder), "--world", world_id, database_url=database_url)
    misnamed = run_command("scripts", "sync", str(folder), "--world", "Fen", database_url=database_url)
    absent = run_command("scripts", "sync", str(folder / "never"), database_url=database_url)

    assert [each.returncode for each in (none, several, named, misnamed, absent)] == [2, 2, 0, 2, 2]
    assert "there is none" in none.stderr
    assert "more than one" in several.stderr
