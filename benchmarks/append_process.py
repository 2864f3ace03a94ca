"""Appending from several processes: each is this file, started with what it needs to know as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from peers import contestant
from scenes import sample_scenes

#: A process has so long to start and to connect.
_START_SECONDS: Final = 4.0
_WARM_UP_SECONDS: Final = 0.5


class Count(NamedTuple):
    """How many scenes a process stored, and how many of them while it was measured."""

    stored: int
    measured: int


async def append_in_processes(
    processes: int, url: str, name: str, space: str, stories: Sequence[UUID], tasks: int, seconds: float
) -> list[Count]:
    """Have processes append at the same time, each with so many tasks over all stories."""
    start = time.time() + _START_SECONDS
    order = json.dumps([url, name, space, [str(story_id) for story_id in stories], tasks, start, seconds])
    started = [
        await asyncio.create_subprocess_exec(sys.executable, __file__, order, stdout=asyncio.subprocess.PIPE)
        for _ in range(processes)
    ]
    answers = await asyncio.gather(*(process.communicate() for process in started))
    assert all(process.returncode == 0 for process in started)
    return [Count(*json.loads(answer)) for answer, _ in answers]


async def main(order: str) -> None:
    """Append until the time is over, and print what was stored."""
    url, name, space, stories, tasks, start, seconds = json.loads(order)
    scenes = sample_scenes()
    stored = measured = 0
    async with contestant(name).opened(url, space) as one:

        async def writer(story_id: UUID) -> None:
            nonlocal stored, measured
            while (now := time.time()) < start + seconds:
                await one.append(story_id, next(scenes))
                stored += 1
                measured += start <= now
            # What ends after the time is stored and was begun within it.

        await asyncio.sleep(max(start - _WARM_UP_SECONDS - time.time(), 0))
        await asyncio.gather(*(writer(UUID(stories[task % len(stories)])) for task in range(tasks)))
    print(json.dumps([stored, measured]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
