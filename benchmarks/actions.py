"""How many actions a second are claimed, and claimed and completed, beside procrastinate on the same server.

One run, one server, rounds in which the two take turns, the median of the rounds. In each round 8 tasks of one process
empty a queue that was filled and analyzed before: every call claims one action, as a worker with one free hand does.
What was claimed is checked: each exactly once, and all of them.

    spread      every action has a lane of its own; claimed only
    spread_end  the same, and each is completed
    lanes16     16 lanes, of which each runs one at a time; claimed and completed
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from argparse import Namespace
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, Protocol

import asyncpg
from peers.procrastinate_queue import Procrastinate
from servers import parser, server_url

from livingworld import Action, LivingWorld, NewAction, Settings, World
from livingworld.postgres import migrations
from livingworld.testing.staged_races import connection_arguments

WORKERS: Final = 8
COUNT: Final = 2_000


class Queue(Protocol):
    """What both can do."""

    async def enqueue(self, lanes: Sequence[str]) -> None:
        """Put one action into each of the lanes named, as often as it is named."""
        ...

    async def claim(self) -> Any:  # noqa: ANN401 - its own kind of job
        """Claim what is next, or return None."""
        ...

    async def finish(self, job: Any) -> None:  # noqa: ANN401
        """End it as done."""
        ...


class Actions:
    """livingworld's queue in one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def enqueue(self, lanes: Sequence[str]) -> None:
        """Put one action into each of the lanes named, as often as it is named."""
        await self._world.actions.enqueue_many([NewAction(lane, "walk", {"to": "the quay"}) for lane in lanes])

    async def claim(self) -> Action | None:
        """Claim what is next."""
        claimed = await self._world.actions.claim(ttl=timedelta(minutes=10))
        return claimed[0] if claimed else None

    async def finish(self, job: Action) -> None:
        """End it as done."""
        await self._world.actions.complete(job)


async def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__).parse_args()
    with server_url(arguments) as url:
        await migrations.upgrade(url)
        result = await measure(url, arguments)
    print(json.dumps(result) if arguments.json else table(result))


async def measure(url: str, arguments: Namespace) -> dict[str, dict[str, float]]:
    """Return actions a second by shape and contestant, medians of all rounds, and the share of one in the other."""
    rates: dict[str, dict[str, list[float]]] = {}
    settings = Settings.load(database_url=url, pool_size=WORKERS)
    async with LivingWorld.open(settings) as livingworld, Procrastinate(url, WORKERS) as procrastinate:
        queues: dict[str, Queue] = {
            "livingworld": Actions(await livingworld.worlds.create("benchmark")),
            "procrastinate": procrastinate,
        }
        for number in range(arguments.rounds):
            for shape in ("spread", "spread_end", "lanes16"):
                for name, queue in queues.items():
                    rate = await one_round(queue, shape, f"{number} {shape}", url)
                    rates.setdefault(shape, {}).setdefault(name, []).append(rate)
    medians = {shape: {name: statistics.median(row[name]) for name in row} for shape, row in rates.items()}
    return {
        shape: {
            **{name: round(rate) for name, rate in row.items()},
            "share": round(row["livingworld"] / row["procrastinate"], 2),
        }
        for shape, row in medians.items()
    }


async def analyze(url: str) -> None:
    """Let the planner know what was filled, as autovacuum would in time."""
    connection = await asyncpg.connect(**connection_arguments(url))
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


async def one_round(queue: Queue, shape: str, name: str, url: str) -> float:
    """Return how many actions a second of one contestant are claimed, or claimed and completed."""
    lanes = [f"{name} {number % 16 if shape == 'lanes16' else number}" for number in range(COUNT)]
    await queue.enqueue(lanes)
    await analyze(url)
    claimed: list[Any] = []

    async def worker() -> None:
        while (job := await queue.claim()) is not None or len(claimed) < COUNT:
            if job is not None:
                claimed.append(job)
                if shape != "spread":
                    await queue.finish(job)

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    elapsed = time.perf_counter() - started
    assert len(claimed) == len({job.id for job in claimed}) == COUNT, f"{len(claimed)} of {COUNT} were claimed"
    for job in claimed if shape == "spread" else ():
        await queue.finish(job)
    return COUNT / elapsed


def table(result: dict[str, dict[str, float]]) -> str:
    """Return the result for a person."""
    lines = [f"{'actions a second':<18}{'livingworld':>14}{'procrastinate':>14}{'share':>8}"]
    lines += [
        f"{shape:<18}{row['livingworld']:>14,}{row['procrastinate']:>14,}{row['share']:>8}"
        for shape, row in result.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    asyncio.run(main())
