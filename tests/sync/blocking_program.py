"""A program that is not asynchronous: forks, ends without closing, or waits until it is interrupted."""

from __future__ import annotations

import os
import sys

from livingworld.errors import UsedAfterFork
from livingworld.sync import LivingWorld, World


def fork(livingworld: LivingWorld, world: World) -> None:
    """Use the LivingWorld in a child, which is refused, and then in the parent."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        print(world.record.name, len(world.stories.list().items), flush=True)
        return
    try:
        world.stories.list()
    except UsedAfterFork as error:
        print(type(error).__name__, flush=True)
    livingworld.close()


def end(_: LivingWorld, world: World) -> None:
    """End in the middle of a turn, and close nothing."""
    story = world.stories.create("The Causeway")
    with world.turns.take(story.id, request_key="1"):
        print("the end", flush=True)
        sys.exit(3)


def wait(_: LivingWorld, world: World) -> None:
    """Wait for events until it is interrupted."""
    with world.presence.connected("tom"), world.live.subscribe() as events:
        print("waits", flush=True)
        for event in events:
            print(event, flush=True)


def main(mode: str, url: str) -> None:
    livingworld = LivingWorld.connect(database_url=url)
    {"fork": fork, "end": end, "wait": wait}[mode](livingworld, livingworld.worlds.create("Saltmarsh"))


if __name__ == "__main__":
    main(*sys.argv[1:])
