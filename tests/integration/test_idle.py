from __future__ import annotations

import asyncio

from livingworld import LivingWorld, NewScene
from tests.support.patience import until


async def test_worlds_in_which_nothing_waits_have_no_task_that_could_ask_the_server(livingworld: LivingWorld) -> None:
    here = asyncio.all_tasks()
    worlds = [await livingworld.worlds.create(f"world {number}") for number in range(20)]
    for world in worlds:
        story = await world.stories.create("The Causeway")
        await world.stories.append_scene(story.id, NewScene("One.", ["on"], ["Mara"]))
        await world.stories.head(story.id)
        async with world.turns.take(story.id, request_key="r1") as turn:
            await turn.commit(NewScene("Two."))
        await world.documents.increment("bell")

    await until(lambda: asyncio.all_tasks() <= here)
