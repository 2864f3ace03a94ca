"""Callers in a process of their own, who send inputs as they are told, line by line, and print what became of each.

python input_program.py URL WORLD STORY LEASE_SECONDS

send KEY POLICY SECONDS FATE   play a turn whose input is KEY: in the end "told KEY NUMBER CONTENT" or "refused KEY
                               ERROR"; the model takes so long and ends as FATE says: tell, record, fail
cancel KEY                     cancel whoever here sent KEY
end                            wait until everything that was sent has its answer, and end
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

from livingworld import LivingWorld, NewScene, Settings, Turn, World
from tests.support.turn_checks import options_of


def model(seconds: float, fate: str) -> Callable[[Turn], Awaitable[NewScene]]:
    async def write(turn: Turn) -> NewScene:
        if turn.recorded is not None and turn.recorded.raw_response is not None:
            return NewScene(turn.recorded.raw_response)  # paid for already
        told = turn.context.instruction or ""
        if fate != "tell":
            await turn.record(told)
        await asyncio.sleep(seconds)
        if fate == "fail":
            raise ZeroDivisionError
        return NewScene(told)

    return write


async def send(world: World, story_id: UUID, key: str, busy: str, seconds: str, fate: str) -> None:
    try:
        scene = await world.turns.play(
            story_id, model(float(seconds), fate), request_key=key, instruction=key, **options_of(busy)
        )
    except (Exception, asyncio.CancelledError) as error:
        tell(f"refused {key} {type(error).__name__}")
        raise
    tell(f"told {key} {scene.number} {scene.content}")


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def obey(world: World, story_id: UUID) -> None:
    sent: list[tuple[str, asyncio.Task[None]]] = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        command, *words = line.split()
        if command == "end":
            break
        if command == "cancel":
            for key, task in sent:
                if key == words[0]:
                    task.cancel()
        else:
            key, busy, seconds, fate = words
            sent.append((key, asyncio.create_task(send(world, story_id, key, busy, seconds, fate))))
    await asyncio.gather(*(task for _, task in sent), return_exceptions=True)


async def main(url: str, world_id: str, story_id: str, lease: str) -> None:
    settings = Settings.load(
        database_url=url, turn_lease=timedelta(seconds=float(lease)), poll_interval=timedelta(seconds=0.05)
    )
    async with LivingWorld.open(settings) as livingworld:
        world = await livingworld.worlds.get(UUID(world_id))
        tell("ready")
        await obey(world, UUID(story_id))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
