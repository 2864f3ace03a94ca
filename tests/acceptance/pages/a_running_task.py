from __future__ import annotations

import asyncio

from livingworld import LivingWorld


async def my_model() -> str:
    return "Water."


async def main() -> None:
    async with LivingWorld.open() as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        assert str(world.id)
        # the example stands here


asyncio.run(main())
