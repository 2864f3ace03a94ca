from __future__ import annotations

import asyncio
import os

from sqlalchemy.ext.asyncio import create_async_engine

from livingworld import LivingWorld, TransactionScope


async def work(tx: TransactionScope) -> None:
    await tx.characters.get_or_create("Mara")


async def main() -> None:
    async with LivingWorld.open() as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        assert story.version == 1
        await world.characters.get_or_create("Mara")
        url = os.environ["LIVINGWORLD_DATABASE_URL"]
        engine = create_async_engine(url, isolation_level="READ COMMITTED")
        async with engine.begin() as connection:
            assert connection.in_transaction()
            # the example stands here
        await engine.dispose()


asyncio.run(main())
