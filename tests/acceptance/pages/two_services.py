from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from livingworld import LivingWorld, RunningTask

__all__ = ["RunningTask", "timedelta"]


async def my_model(payload: Mapping[str, object]) -> str:
    return str(payload)


async def serve() -> None:
    """Do what the program is there for."""


async def main() -> None:
    async with LivingWorld.open() as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        assert str(world.id)
        # the example stands here


asyncio.run(main())
