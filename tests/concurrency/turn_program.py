"""A player in a process of its own: takes turns as it is told, line by line, and prints what became of them.

python turn_program.py URL WORLD STORY LEASE_SECONDS CLOCK_OFFSET_SECONDS

take KEY POLICY [WHO] take a turn, as WHO where named, and hold it: "taken KEY", or the error's class name
commit TEXT           commit the turn that is held: "committed NUMBER", or the error's class name
lost                  wait until the turn that is held is lost: "lost"
play KEY POLICY       take and commit in the background: at once "waiting KEY", in the end "told KEY NUMBER"
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import timedelta
from uuid import UUID

from livingworld import LivingWorld, NewScene, Settings, Turn, World
from livingworld.errors import LivingWorldError
from livingworld.postgres import leases

#: So many in the length of a lease: a lease for which no machine is too slow is renewed all the time.
RENEWALS = 36_000


class Player:
    def __init__(self, world: World, story_id: UUID) -> None:
        self.world = world
        self.story_id = story_id
        self.stack = AsyncExitStack()
        self.turn: Turn | None = None
        self.playing: set[asyncio.Task[None]] = set()

    async def obey(self, line: str) -> None:
        command, *words = line.split()
        match command:
            case "take":
                self.turn = await self.stack.enter_async_context(self.take(*words))
                tell(f"taken {words[0]}")
            case "commit":
                assert self.turn
                tell(f"committed {(await self.turn.commit(NewScene(words[0]))).number}")
            case "record":
                assert self.turn
                await self.turn.record(words[0])
                tell("recorded")
            case "recorded":
                assert self.turn
                tell(self.turn.recorded.raw_response or "" if self.turn.recorded else "nothing")
            case "lost":
                assert self.turn
                await self.turn.lost.wait()
                tell("lost")
            case "play":
                task = asyncio.create_task(self.play(*words))
                self.playing.add(task)
                tell(f"waiting {words[0]}")

    def take(self, key: str, busy: str, who: str | None = None) -> AbstractAsyncContextManager[Turn]:
        return self.world.turns.take(self.story_id, request_key=key, busy=busy, player=who)  # type: ignore[arg-type]

    async def play(self, key: str, busy: str) -> None:
        async with self.take(key, busy) as turn:
            scene = await turn.commit(NewScene(key))
        tell(f"told {key} {scene.number}")


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def bend_the_clock(offset: float) -> None:
    real = time.time
    time.time = lambda: real() + offset


async def main(url: str, world_id: str, story_id: str, lease: str, offset: str) -> None:
    bend_the_clock(float(offset))
    leases.RENEWALS = RENEWALS  # type: ignore[misc]
    settings = Settings.load(
        database_url=url, turn_lease=timedelta(seconds=float(lease)), poll_interval=timedelta(seconds=5)
    )
    async with LivingWorld.open(settings) as livingworld:
        player = Player(await livingworld.worlds.get(UUID(world_id)), UUID(story_id))
        tell("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                await player.obey(line)
            except LivingWorldError as error:
                tell(type(error).__name__)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
