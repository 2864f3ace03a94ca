"""An owner of tasks in a process of its own: does what it is told, line by line, and prints what became of it.

python task_program.py URL WORLD SESSION DEAD_AFTER_SECONDS POLL_SECONDS

start NUMBER   start so many tasks of one kind at once, and hold what was had: "Running" or the error's class name, each
lend           start one that may be taken over when this process is dead: "Running" or the error's class name
succeed        from now on run tasks of the dead: "ready"; each that is taken adds an interaction
end            leave the block of the one that is held: "finished", or the error's class name
talk NUMBER    add so many interactions at once: "talked"
cancel         ask for the stop of what runs in the session: "asked"
stopped        wait until the one that is held has to stop: the error's class name
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

from livingworld import LivingWorld, RunningTask, Settings, World
from livingworld.coordination.sessions.records import WhenOwnerDies
from livingworld.errors import LivingWorldError


class Owner:
    def __init__(self, world: World, session_id: UUID, dead_after: timedelta) -> None:
        self.world = world
        self.session_id = session_id
        self.dead_after = dead_after
        self.stack = AsyncExitStack()
        self.held: RunningTask | None = None

    async def obey(self, line: str) -> str:  # noqa: PLR0911 - one answer for each command
        match line.split():
            case ["start", number]:
                return " ".join(sorted(await asyncio.gather(*(self.start() for _ in range(int(number))))))
            case ["lend"]:
                return await self.start("take_over")
            case ["succeed"]:
                every = timedelta(milliseconds=20)
                service = self.world.tasks.taking_over(self.go_on, kind="narrate", every=every)
                await self.stack.enter_async_context(service)
                return "ready"
            case ["end"]:
                await self.stack.aclose()
                return "finished"
            case ["talk", number]:
                adds = (self.world.interactions.add(self.session_id, "from a process") for _ in range(int(number)))
                await asyncio.gather(*adds)
                return "talked"
            case ["cancel"]:
                for task in await self.world.tasks.of_session(self.session_id):
                    if task.state == "running":
                        await self.world.tasks.cancel(task.id)
                return "asked"
            case ["stopped"]:
                assert self.held
                await self.held.while_running(asyncio.Event().wait())
        return "?"

    async def start(self, when_owner_dies: WhenOwnerDies = "fail") -> str:
        running = self.world.tasks.running(
            self.session_id, "narrate", dead_after=self.dead_after, when_owner_dies=when_owner_dies
        )
        try:
            self.held = await self.stack.enter_async_context(running)
        except LivingWorldError as error:
            return type(error).__name__
        return "Running"

    async def go_on(self, running: RunningTask) -> str:
        await self.world.interactions.add(self.session_id, f"owner {running.task.token}")
        return "told"


async def main(url: str, world_id: str, session_id: str, dead_after: str, poll: str) -> None:
    settings = Settings.load(database_url=url, poll_interval=float(poll), turn_lease=float(poll) * 4)
    async with LivingWorld.open(settings) as livingworld:
        world = await livingworld.worlds.get(UUID(world_id))
        owner = Owner(world, UUID(session_id), timedelta(seconds=float(dead_after)))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                told = await owner.obey(line)
            except LivingWorldError as error:
                told = type(error).__name__
            sys.stdout.write(f"{told}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
