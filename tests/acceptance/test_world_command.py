"""`livingworld world`: a world goes out, is verified, and comes back under another id."""

from __future__ import annotations

import asyncio
from pathlib import Path

from livingworld import LivingWorld, NewScene
from livingworld.identifiers import new_id
from tests.support.command import run_command


async def make(url: str) -> str:
    async with LivingWorld.open(database_url=url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        await world.stories.append_scene(story.id, NewScene("One."))
        return str(world.id)


def test_a_world_goes_out_is_verified_and_comes_back(database_url: str, tmp_path: Path) -> None:
    world, path, copy = asyncio.run(make(database_url)), tmp_path / "saltmarsh.jsonl", str(new_id())

    exported = run_command("world", "export", world, str(path), database_url=database_url)
    verified = run_command("world", "verify", str(path))
    imported = run_command("world", "import", str(path), "--as", copy, database_url=database_url)
    again = run_command("world", "import", str(path), database_url=database_url)

    assert (exported.returncode, exported.stdout) == (0, "")
    assert exported.stderr.startswith(f"exported world {world} as of ")
    assert " rows, 1 of them scenes; digest " in exported.stderr
    assert verified.stderr == exported.stderr.replace("exported", "verified")
    assert (imported.returncode, imported.stdout, imported.stderr) == (0, f"imported world {copy}\n", "")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "livingworld: There is a world with this id, key or request key already.\n"


def test_standard_output_has_the_bundle_and_a_damaged_one_has_the_exit_code_1(
    database_url: str, tmp_path: Path
) -> None:
    world, path = asyncio.run(make(database_url)), tmp_path / "saltmarsh.jsonl"
    lines = run_command("world", "export", world, "-", database_url=database_url).stdout.splitlines(keepends=True)
    path.write_text("".join([*lines[:9], *lines[10:]]), encoding="utf-8")

    verified = run_command("world", "verify", str(path))
    missing = run_command("world", "verify", str(tmp_path / "nothing.jsonl"))

    assert (verified.returncode, missing.returncode) == (1, 1)
    assert verified.stderr.startswith("livingworld: The bundle is damaged: line 10, table ")
    assert missing.stderr == (
        "livingworld: The file of the bundle cannot be opened, read or written. reason=No such file or directory\n"
    )


def test_finished_stories_go_into_a_folder_and_come_back(database_url: str, tmp_path: Path) -> None:
    world, story = asyncio.run(finish(database_url))

    early = run_command(
        "world", "archive", world, "--older-than", "1", "--into", str(tmp_path), database_url=database_url
    )
    moved = run_command(
        "world", "archive", world, "--older-than", "0", "--into", str(tmp_path), database_url=database_url
    )
    (path,) = tmp_path.iterdir()
    back = run_command("world", "unarchive", world, str(path), database_url=database_url)
    again = run_command("world", "unarchive", world, str(path), database_url=database_url)

    assert (early.returncode, early.stdout) == (0, f"archived 0 stories into {tmp_path}\n")
    assert moved.stdout == f"archived story {story}: 1 scenes\narchived 1 stories into {tmp_path}\n"
    assert (back.returncode, back.stdout, back.stderr) == (0, f"put back story {story}\n", "")
    assert (again.returncode, again.stdout) == (1, "")


async def finish(url: str) -> tuple[str, str]:
    async with LivingWorld.open(database_url=url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        await world.stories.append_scene(story.id, NewScene("One."))
        await world.stories.update(story.id, status="completed", expected_version=story.version)
        return str(world.id), str(story.id)
