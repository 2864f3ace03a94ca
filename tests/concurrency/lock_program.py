"""A process that holds a lock: python lock_program.py URL WORLD NAME

Prints "held" when it has the lock, and holds it until a line comes or it is killed.
"""

from __future__ import annotations

import asyncio
import sys
from uuid import UUID

from livingworld import LivingWorld, NewLoreEntry


async def main(url: str, world_id: str, name: str) -> None:
    async with LivingWorld.open(database_url=url) as livingworld:
        world = await livingworld.worlds.get(UUID(world_id))
        async with world.locks.exclusive(name) as tx:
            await tx.lore.add(NewLoreEntry("never committed", book="market"))
            print("held", flush=True)
            await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
