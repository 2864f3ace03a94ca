from __future__ import annotations

import asyncio

from livingworld import (
    LivingWorld,
    NewMemory,
    NewScene,
    NewState,
    RelationshipChange,
    Subject,
    TransactionScope,
)

__all__ = ["NewMemory", "NewScene", "NewState", "RelationshipChange", "Subject", "TransactionScope"]


async def main() -> None:
    async with LivingWorld.open() as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        async with world.turns.take(story.id, request_key="click-1") as turn:
            assert turn.scene is None
            # the example stands here


asyncio.run(main())
