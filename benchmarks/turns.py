"""How many whole turns a second, with a model that takes no time, beside appends by hand-written asyncpg in one run.

A turn is taken (lease, record, context of the last scenes), its context is read, and it is committed (scene,
generation, end of the lease). Rounds in which both take turns; the median.

    spread16    16 tasks, each on a story of its own
    queue16     16 tasks that queue for one story
    serial1     one task on one story
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from costs import CostMeter
from measuring import Round, Shape, in_this_process, summary, table
from peers import Contestant, contestant
from peers.livingworld_api import LivingWorldApi
from scenes import SampleScene
from servers import describe, parser, server_url

from livingworld import NewScene, Turn

SHAPES: Final = {"spread16": Shape(16, 16), "queue16": Shape(16, 1), "serial1": Shape(1, 1)}
_PATIENCE: Final = timedelta(minutes=5)


class Turns(LivingWorldApi):
    """Whole turns instead of appends."""

    _keys = itertools.count(1)

    async def append(self, story_id: UUID, scene: SampleScene) -> object:
        """Play a turn, in the queue of its story."""

        async def write(turn: Turn) -> NewScene:
            assert len(turn.context.recent) <= turn.context.head
            return NewScene(scene.content, scene.choices)

        key = f"turn {next(self._keys)}"
        return await self.world.turns.play(story_id, write, request_key=key, busy="queue", time_limit=_PATIENCE)


async def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__).parse_args()
    with server_url(arguments) as url:
        result = await measure(url, arguments) | await describe(url)
    print(json.dumps(result) if arguments.json else table(result, ("turns", "asyncpg")))


async def measure(url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return turns and appends a second by shape, and what each costs: medians of all rounds."""
    rounds: dict[tuple[str, str], list[Round]] = {}
    async with AsyncExitStack() as stack:
        meter = await CostMeter.connect(url)
        stack.push_async_callback(meter.close)
        opened: dict[str, Contestant] = {}
        for name in ("livingworld", "asyncpg"):
            space = await contestant(name).prepare(url)
            opened[name] = await stack.enter_async_context(contestant(name).opened(url, space))
        assert isinstance(opened["livingworld"], LivingWorldApi)
        both: dict[str, Contestant] = {"turns": Turns(opened["livingworld"].world), "asyncpg": opened["asyncpg"]}
        for _, (shape, size), (name, one) in itertools.product(range(arguments.rounds), SHAPES.items(), both.items()):
            rounds.setdefault((shape, name), []).append(await in_this_process(one, size, meter, arguments.seconds))
    return summary(rounds)


if __name__ == "__main__":
    asyncio.run(main())
