"""A process that uses scripts: obeys commands, line by line, and prints the result of each.

python script_program.py URL WORLD LEASE_SECONDS POLL_SECONDS DEAF

serving VERSION      wait until the catalogue has this version of "narrator": "served"
use                  begin a run of "narrator", and hold it: its version
leave                leave the run that was begun last: "left"
publish NUMBER TAG   publish so many texts at once, each another one: the versions, sorted
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from uuid import UUID

from livingworld import LivingWorld, Settings, World
from livingworld.errors import LivingWorldError
from livingworld.postgres import leases
from tests.support.patience import until

#: So many in the length of a lease: a lease for which no machine is too slow is renewed all the time.
BEATS = 36_000


class User:
    def __init__(self, world: World) -> None:
        self.world = world
        self.runs: list[AsyncExitStack] = []

    async def obey(self, line: str) -> str:
        match line.split():
            case ["serving", version]:
                await until(lambda: self.world.scripts.catalogue["narrator"].version == int(version))
                return "served"
            case ["use"]:
                stack = AsyncExitStack()
                script = await stack.enter_async_context(self.world.scripts.use("narrator"))
                self.runs.append(stack)
                return str(script.version)
            case ["leave"]:
                await self.runs.pop().aclose()
                return "left"
            case ["publish", number, tag]:
                texts = [self.world.scripts.publish("narrator", f"{tag} {n}") for n in range(int(number))]
                return " ".join(str(each) for each in sorted(each.version for each in await asyncio.gather(*texts)))
        return "?"


async def main(url: str, world_id: str, lease: str, poll: str, deaf: str) -> None:
    leases.RENEWALS = BEATS  # type: ignore[misc]
    unheard = {"behind_pooler": True, "direct_database_url": None} if deaf == "deaf" else {}
    settings = Settings.load(
        database_url=url,
        script_lease=float(lease),
        poll_interval=float(poll),
        turn_lease=float(poll) * 4,
        **unheard,
    )
    async with LivingWorld.open(settings) as livingworld:
        world = await livingworld.worlds.get(UUID(world_id))
        user = User(world)
        async with world.scripts.following():
            print("ready", flush=True)
            while line := await asyncio.to_thread(sys.stdin.readline):
                try:
                    answer = await user.obey(line)
                except LivingWorldError as error:
                    answer = type(error).__name__
                print(answer, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
