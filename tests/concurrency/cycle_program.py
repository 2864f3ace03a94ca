"""A process that runs a cycle: python cycle_program.py URL WORLD TTL_SECONDS

Prints "began RUN PHASE" at each phase, waits for a line before it returns from it, and prints what became of the run.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from functools import partial
from uuid import UUID

from livingworld import Cycle, LivingWorld
from livingworld.errors import LivingWorldError


async def main(url: str, world_id: str, ttl: str) -> None:
    async with LivingWorld.open(database_url=url) as livingworld:
        world = await livingworld.worlds.get(UUID(world_id))
        phases = {name: partial(phase, name) for name in ("plan", "do")}
        try:
            run = await world.cycles.run("tide", phases, ttl=timedelta(seconds=float(ttl)))
            print("ended", run.state if run else "early", flush=True)
        except LivingWorldError as error:
            print("ended", type(error).__name__, flush=True)


async def phase(name: str, cycle: Cycle) -> int:
    print("began", cycle.run_number, name, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    return cycle.token


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
