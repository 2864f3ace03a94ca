from __future__ import annotations

import asyncio

from livingworld import Busy, LivingWorld, NewScene, Turn, TurnContext

__all__ = ["Busy", "NewScene", "Turn"]


async def my_model(context: TurnContext) -> str:
    return f"{context.instruction}: Mara lifts the lantern."


async def main() -> None:
    async with LivingWorld.open() as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        assert story.version == 1
        # the example stands here


asyncio.run(main())
