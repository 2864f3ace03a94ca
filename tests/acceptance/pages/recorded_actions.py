from __future__ import annotations

import asyncio

from livingworld import COMMANDS, LivingWorld, replay

__all__ = ["replay"]


async def main() -> None:
    async with LivingWorld.open() as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        policy = COMMANDS.extended(categories={"walk": "movement"})
        for _ in range(2):
            await world.actions.enqueue("mara", "walk", conflict=policy)
        # the example stands here


asyncio.run(main())
