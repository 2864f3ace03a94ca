"""How many scenes a second: livingworld's public API beside hand-written asyncpg and beside the ORM pattern.

One run, one server, rounds in which the contestants take turns, the median of the rounds. Each appends the same scenes
to new stories of its own tables, and what it stored is counted afterwards. --peers measures other libraries too.

    spread16, spread64, spread256   so many tasks; 16, 64 and 64 stories
    hot16, hot64                    so many tasks on one story
    serial1                         one task on one story
    processes4                      four processes of 16 tasks each on the same 16 stories

Beside the rates, `costs` has what a scene costs in each shape of one process: microseconds of CPU of the client and of
the server, and bytes of WAL.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

from append_process import append_in_processes
from costs import CostMeter
from measuring import Round, Shape, check, in_this_process, summary, table
from peers import CONTESTANTS, PEERS, Contestant, contestant
from servers import describe, parser, server_url

SHAPES: Final = {
    "spread16": Shape(16, 16),
    "spread64": Shape(64, 64),
    "spread256": Shape(256, 64),
    "hot16": Shape(16, 1),
    "hot64": Shape(64, 1),
    "serial1": Shape(1, 1),
    "processes4": Shape(16, 16, processes=4),
}


async def main() -> None:
    """Measure and print."""
    arguments = parse()
    names = [*CONTESTANTS, *(PEERS if arguments.peers else ())]
    with server_url(arguments) as url:
        result = await measure(url, names, arguments.shapes, arguments) | await describe(url)
    print(json.dumps(result) if arguments.json else table(result, names))


def parse() -> argparse.Namespace:
    """Read the command line."""
    made = parser(__doc__)
    made.add_argument("--peers", action="store_true", help=f"also {', '.join(PEERS)}")
    made.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    return made.parse_args()


async def measure(
    url: str, names: Sequence[str], shapes: Iterable[str], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return appends a second by shape and contestant, and what each append cost: medians of all rounds."""
    rounds: dict[tuple[str, str], list[Round]] = {}
    async with AsyncExitStack() as stack:
        meter = await CostMeter.connect(url)
        stack.push_async_callback(meter.close)
        spaces = {name: await contestant(name).prepare(url) for name in names}
        opened = {name: await stack.enter_async_context(contestant(name).opened(url, spaces[name])) for name in names}
        for _, shape, name in itertools.product(range(arguments.rounds), shapes, names):
            if SHAPES[shape].processes > 1:
                done = await in_processes(opened[name], SHAPES[shape], url, name, spaces[name], arguments.seconds)
            else:
                done = await in_this_process(opened[name], SHAPES[shape], meter, arguments.seconds)
            rounds.setdefault((shape, name), []).append(done)
    return summary(rounds)


async def in_processes(one: Contestant, shape: Shape, url: str, name: str, space: str, seconds: float) -> Round:
    """Have processes append to the same stories, and return how many scenes a second all of them stored."""
    stories = await one.begin(shape.stories)
    counts = await append_in_processes(shape.processes, url, name, space, stories, shape.tasks, seconds)
    await check(one, stories, sum(count.stored for count in counts))
    return Round(sum(count.measured for count in counts) / seconds, None)


if __name__ == "__main__":
    asyncio.run(main())
