"""A process that writes a story and follows it: does what it is told, line by line, and prints what became of it.

python live_program.py URL WORLD STORY

follow AFTER   begin to follow after a number, "-" for from now on: the number it starts after
receive COUNT  wait for so many items: their numbers; a Missed as "missed-NUMBER"
append COUNT   4 writers append so many scenes together, some in transactions that are rolled back: "done"
leave          stop following: "left"
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, suppress
from uuid import UUID

from livingworld import LiveEvent, LivingWorld, Missed, NewScene, Subscription, World


class Follower:
    def __init__(self, world: World, story_id: UUID) -> None:
        self.world = world
        self.story_id = story_id
        self.stack = AsyncExitStack()
        self.events: Subscription | None = None

    async def obey(self, line: str) -> str:
        match line.split():
            case ["follow", after]:
                number = None if after == "-" else int(after)
                following = self.world.live.subscribe(story=self.story_id, after=number)
                self.events = await self.stack.enter_async_context(following)
                return str(self.events.started_at)
            case ["receive", count]:
                assert self.events
                return " ".join([told(await anext(self.events)) for _ in range(int(count))])
            case ["append", count]:
                await asyncio.gather(*(self.write(int(count) // 4) for _ in range(4)))
                return "done"
            case ["leave"]:
                await self.stack.aclose()
                return "left"
        return "?"

    async def write(self, count: int) -> None:
        for number in range(count):
            await self.world.stories.append_scene(self.story_id, NewScene("x"))
            if number % 3 == 0:
                await self.give_up()

    async def give_up(self) -> None:
        with suppress(ZeroDivisionError):
            async with self.world.transaction() as tx:
                await tx.stories.append_scene(self.story_id, NewScene("never"))
                raise ZeroDivisionError


def told(item: LiveEvent | Missed) -> str:
    return f"missed-{item.number}" if isinstance(item, Missed) else str(item.number)


async def main(url: str, world_id: str, story_id: str) -> None:
    async with LivingWorld.open(database_url=url) as livingworld:
        follower = Follower(await livingworld.worlds.get(UUID(world_id)), UUID(story_id))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while line := await asyncio.to_thread(sys.stdin.readline):
            sys.stdout.write(f"{await follower.obey(line)}\n")
            sys.stdout.flush()
        await follower.stack.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
