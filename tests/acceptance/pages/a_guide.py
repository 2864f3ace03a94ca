"""What a guide begins with: a world, a story with a scene, two characters, and the application's own model."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

from livingworld import *  # noqa: F403 - a guide uses what the package exports
from livingworld import LivingWorld, NewScene

__all__ = ["UUID", "my_model", "timedelta"]


async def my_model(prompt: object) -> str:
    """Answer as a language model would."""
    assert prompt is not None
    return "Mara lifts the lantern."


async def main() -> None:
    async with LivingWorld.open() as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        await world.stories.append_scene(story.id, NewScene("Fog.", choices=["Call out", "Run"], cast=["Mara", "Tom"]))
        mara, tom = [each for each, _ in await world.characters.get_or_create_many(["Mara", "Tom"])]
        assert mara != tom
        # the example stands here


asyncio.run(main())
