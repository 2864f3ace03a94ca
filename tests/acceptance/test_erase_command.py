"""`livingworld world erase` asks, erases, and prints how much that was."""

from __future__ import annotations

import asyncio
import json
from uuid import UUID

from livingworld import LivingWorld
from tests.support.command import run_command


async def talk(url: str) -> UUID:
    async with LivingWorld.open(database_url=url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        session = await world.sessions.open(player="ada")
        await world.interactions.add(session.id, "Hello")
        return world.id


def test_a_person_is_erased_after_the_question(database_url: str) -> None:
    world = str(asyncio.run(talk(database_url)))

    unasked = run_command("world", "erase", world, "--player", "ada", database_url=database_url)
    refused = run_command("world", "erase", world, "--yes", "--player", "a\nb\x1b[2J", database_url=database_url)
    forged = run_command("world", "erase", world, "--player", "a", "--url", "x\x1b[2J\u202e://\nforged")
    erased = run_command("world", "erase", world, "--player", "ada", "--yes", "--json", database_url=database_url)
    again = run_command("world", "erase", world, "--player", "ada", "--yes", database_url=database_url)

    assert (unasked.returncode, unasked.stdout) == (2, "")
    assert "--yes" in unasked.stderr
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert len(forged.stderr.splitlines()) == 1
    assert not {"\x1b", "\u202e"} & set(forged.stderr + refused.stderr)
    assert json.loads(erased.stdout) == {"interactions": 1, "sessions": 1}
    assert (again.returncode, again.stdout) == (0, "erased 0 rows\n")
