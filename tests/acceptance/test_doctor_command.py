from __future__ import annotations

import asyncio
import json

from livingworld import LivingWorld, NewScene
from livingworld.testing.staged_races import connected
from tests.support.command import run_command

#: What the server of the tests gives up on purpose.
SETTINGS = "weak_settings"


async def damaged(url: str, statement: str) -> None:
    async with LivingWorld.open(database_url=url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        for text in ("One.", "Two."):
            await world.stories.append_scene(story.id, NewScene(text))
    async with connected(url) as connection:
        await connection.execute(statement)


def test_a_plan_is_shown_and_what_is_safe_is_repaired(database_url: str) -> None:
    asyncio.run(damaged(database_url, "UPDATE livingworld.stories SET last_scene_number = 1"))

    plan = run_command("doctor", database_url=database_url)
    repaired = run_command("doctor", "--repair", "--json", database_url=database_url)
    again = run_command("doctor", "--json", database_url=database_url)

    assert (plan.returncode, plan.stderr) == (1, "")
    assert "story_counters in world " in plan.stdout
    assert "  wrong:  A counter of a story is behind" in plan.stdout
    assert "  repair: Sets the counters" in plan.stdout
    told = json.loads(repaired.stdout)
    assert "story_counters" in {finding["check"] for finding in told["findings"]}
    assert [(each["check"], each["repaired"], each["left"]) for each in told["repairs"]] == [("story_counters", 1, 0)]
    assert {finding["check"] for finding in told["left"]} <= {SETTINGS}
    assert {finding["check"] for finding in json.loads(again.stdout)["findings"]} <= {SETTINGS}


def test_what_is_not_safe_stays_and_the_command_says_so(database_url: str) -> None:
    asyncio.run(damaged(database_url, "DELETE FROM livingworld.scenes WHERE scene_number = 1"))

    told = run_command("doctor", "--repair", database_url=database_url)

    assert told.returncode == 1
    assert "scene_gaps in world" in told.stdout
    assert "Refused: no other row has their text. Restore the story from a backup." in told.stdout
    assert " findings are left" in told.stdout


def test_a_sound_world_ends_with_zero(database_url: str) -> None:
    asyncio.run(damaged(database_url, "SELECT 1"))

    async def only_world() -> str:
        async with LivingWorld.open(database_url=database_url) as livingworld:
            return str((await livingworld.worlds.list()).items[0].id)

    told = run_command("doctor", "--world", asyncio.run(only_world()), database_url=database_url)

    assert (told.returncode, told.stdout, told.stderr) == (0, "nothing is wrong\n", "")
