"""Rounds of a benchmark: tasks append for a while, what they stored is counted, and medians are reported."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from costs import Cost, CostMeter
from peers import Contestant
from scenes import sample_scenes

_WARM_UP_SECONDS: Final = 0.3


class Shape(NamedTuple):
    """How many tasks append to how many stories, in how many processes."""

    tasks: int
    stories: int
    processes: int = 1


class Round(NamedTuple):
    """What one contestant did in one shape of one round."""

    rate: float
    cost: Cost | None


async def in_this_process(one: Contestant, shape: Shape, meter: CostMeter, seconds: float) -> Round:
    """Have tasks append for so long, and return how many scenes a second they stored."""
    stories = await one.begin(shape.stories)
    warm = await append_for(one, stories, shape.tasks, _WARM_UP_SECONDS)
    before, started = await meter.now(), time.perf_counter()
    count = await append_for(one, stories, shape.tasks, seconds)
    elapsed, after = time.perf_counter() - started, await meter.now()
    await check(one, stories, warm + count)
    return Round(count / elapsed, (after - before).each(count))


async def append_for(one: Contestant, stories: Sequence[UUID], tasks: int, seconds: float) -> int:
    """Have tasks append to the stories for so long, and return how many scenes there were."""
    scenes = sample_scenes()
    end = time.perf_counter() + seconds

    async def writer(story_id: UUID) -> int:
        count = 0
        while time.perf_counter() < end:
            await one.append(story_id, next(scenes))
            count += 1
        return count

    return sum(await asyncio.gather(*(writer(stories[task % len(stories)]) for task in range(tasks))))


async def check(one: Contestant, stories: Sequence[UUID], expected: int) -> None:
    """Fail unless every append is there: a fast contestant that loses scenes has not won."""
    stored = await one.stored(stories)
    assert stored == expected, f"{stored} of {expected} scenes are stored"


def summary(rounds: dict[tuple[str, str], list[Round]]) -> dict[str, Any]:
    """Return the medians of rates and costs."""
    result: dict[str, Any] = {"costs": {}}
    for (shape, name), done in rounds.items():
        result.setdefault(shape, {})[name] = round(statistics.median(each.rate for each in done))
        costs = [each.cost for each in done if each.cost]
        if costs:
            result["costs"].setdefault(shape, {})[name] = {
                field: round(statistics.median(getattr(cost, field) for cost in costs)) for field in Cost.__slots__
            }
    return result


def table(result: dict[str, Any], names: Sequence[str]) -> str:
    """Return rates and costs for a person."""
    lines = ["a second        " + "".join(f"{name:>18}" for name in names)]
    costs = result["costs"]
    for shape, row in result.items():
        if isinstance(row, dict) and row is not costs:
            lines.append(f"{shape:<16}" + "".join(f"{row[name]:>18,}" for name in names))
    lines.append("client us + server us, bytes of WAL")
    for shape, row in costs.items():
        texts = (f"{cost['client_us']} + {cost['server_us']}, {cost['wal_bytes']}" for cost in row.values())
        lines.append(f"{shape:<16}" + "".join(f"{text:>18}" for text in texts))
    lines.append(f"PostgreSQL {result['server_version']}, fsync {result['fsync']}")
    return "\n".join(lines)
