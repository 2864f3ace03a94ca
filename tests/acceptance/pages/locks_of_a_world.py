from __future__ import annotations

import asyncio
from datetime import timedelta

from livingworld import ABSENT, LivingWorld, NewLoreEntry, TransactionScope

__all__ = ["ABSENT", "NewLoreEntry", "timedelta"]


async def rearrange(tx: TransactionScope) -> None:
    assert len((await tx.lore.list(book="market")).items) == 1


async def main() -> None:
    async with LivingWorld.open() as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        assert str(world.id)
        # the example stands here


asyncio.run(main())
