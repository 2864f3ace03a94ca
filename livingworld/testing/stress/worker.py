"""A process of writers: it reads what to do from its input, prints `ready`, and plays until its input ends.

The first line is one JSON object: url, journal, name, writers, faults and the stage. At the end it prints how many
calls hang.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID

from livingworld import LivingWorld, Missed, Settings, World
from livingworld.errors import LivingWorldError
from livingworld.testing.history import Effect, History, Kind
from livingworld.testing.protocol_proxy import Moment, ProtocolProxy, protocol_proxy
from livingworld.testing.stress.deeds import CHECKED, TTL
from livingworld.testing.stress.other_deeds import OTHERS
from livingworld.testing.stress.plan import Fault
from livingworld.testing.stress.stage import Stage
from livingworld.testing.stress.writer import INJECTED, Writer

#: After this a call that was under way at the end counts as hung; every call of livingworld ends by itself before.
_GRACE_SECONDS: Final = 90
_LONGEST_PAUSE_SECONDS: Final = 0.4
_MOST_STATEMENTS: Final = 12
#: The deeds that are checked are tried so many times as often as all others together.
_SHARE: Final = 3


async def play(config: dict[str, Any], history: History) -> int:
    """Play until standard input says so, and return how many calls hang."""
    stage, name, url = Stage.of(config["stage"]), config["name"], config["url"]
    faults = {Fault(each) for each in config["faults"]}
    async with AsyncExitStack() as stack:
        if Fault.CUT in faults:
            proxy = await stack.enter_async_context(protocol_proxy(url))
            await stack.enter_async_context(_running(_cut(proxy, history, name)))
            url = proxy.url
        livingworld = await stack.enter_async_context(LivingWorld.open(_settings(url)))
        worlds = await livingworld.worlds.get(UUID(stage.world)), await livingworld.worlds.get(UUID(stage.aside))
        await stack.enter_async_context(_running(_follow(worlds[0], stage.stories[0], history, name)))
        numbers = range(config["writers"])
        writers = [Writer(f"{name}.{number}", livingworld, worlds, stage, history) for number in numbers]
        return await _until_stopped(writers, cancelling=Fault.CANCEL in faults)


def _settings(url: str) -> Settings:
    return Settings.load(database_url=url, turn_lease=TTL, script_lease=TTL, poll_interval=timedelta(seconds=0.1))


async def _until_stopped(writers: list[Writer], *, cancelling: bool) -> int:
    deeds = CHECKED * _SHARE * (len(OTHERS) // len(CHECKED) + 1) + OTHERS
    stopped = asyncio.Event()
    playing = [asyncio.create_task(writer.play(deeds, stopped, cancelling=cancelling)) for writer in writers]
    _say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    stopped.set()
    done, pending = await asyncio.wait(playing, timeout=_GRACE_SECONDS)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()
    return len(pending)


async def _cut(proxy: ProtocolProxy, history: History, name: str) -> None:
    """Cut connections around statements, before the server gets them or before the client gets the answer."""
    chance = Random(f"{name} cut")
    while True:
        await asyncio.sleep(chance.uniform(0, _LONGEST_PAUSE_SECONDS))
        fault = proxy.at(chance.choice((*Moment,)), "", nth=chance.randint(1, _MOST_STATEMENTS))
        await fault.happened.wait()
        with history.recording(INJECTED, "cut"):
            pass


async def _follow(world: World, story: str, history: History, name: str) -> None:
    """Receive the events of a story; after an error go on as a new follower."""
    for number in range(sys.maxsize):
        try:
            await _receive(world, story, history, f"{name}, follower {number}")
        except LivingWorldError:
            await asyncio.sleep(_LONGEST_PAUSE_SECONDS)


async def _receive(world: World, story: str, history: History, follower: str) -> None:
    async with world.live.subscribe(story=UUID(story)) as events:
        async for event in events:
            if isinstance(event, Missed):
                effect = Effect(Kind.MISS, story)
            else:
                scene = event.details.get("scene_number") if event.kind == "scene appended" else None
                effect = Effect(Kind.RECEIVE, story, scene)
            with history.recording(follower, "receive", effect) as answer:
                answer.results = (event.number,)


@asynccontextmanager
async def _running(work: Any) -> AsyncIterator[None]:  # noqa: ANN401 - a coroutine
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Read what to do, and do it."""
    config = json.loads(sys.stdin.readline())
    with Path(config["journal"]).open("w", buffering=1, encoding="utf-8") as journal:
        _say(f"hung {asyncio.run(play(config, History(journal=journal)))}")


if __name__ == "__main__":
    main()
