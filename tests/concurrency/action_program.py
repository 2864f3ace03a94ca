"""A worker in a process of its own: each action becomes a scene of the story that its payload names.

python action_program.py URL WORLD CONCURRENCY TTL_SECONDS

It prints "ready", works until a line comes in, stops as a worker stops, and prints "stopped".
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from uuid import UUID

from livingworld import LivingWorld, NewScene, RunningAction, TransactionScope


async def tell(running: RunningAction) -> None:
    async def effect(tx: TransactionScope) -> None:
        payload = running.action.payload
        await tx.stories.append_scene(UUID(payload["story"]), NewScene(str(payload["number"])))

    await running.complete(effect)


async def main(url: str, world_id: str, concurrency: str, ttl: str) -> None:
    loop = asyncio.get_running_loop()
    async with LivingWorld.open(database_url=url) as livingworld:
        world = await livingworld.worlds.get(UUID(world_id))
        worker = world.actions.worker(
            {"tell": tell},
            concurrency=int(concurrency),
            ttl=timedelta(seconds=float(ttl)),
            retry_in=lambda _: timedelta(0),
        )
        async with worker.running():
            print("ready", flush=True)
            await loop.run_in_executor(None, sys.stdin.readline)
        print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
