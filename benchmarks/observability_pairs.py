"""What one sampled trace of 64 tasks costs: many short slices with it and without it in turn, in one `trace_calls`.

Nothing is patched between two slices, so none needs a warm-up. A block has six: two with it and four without, in an
order and then backwards, so that what grows or falls meanwhile is in both alike. `again` compares two of those without
it with the other two, and shows how far to believe the comparison. CPU of this process depends least on what else the
machine does.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

#: Of a block: s has a sampled trace, the others have none; n and a are the same, and are compared with each other.
_BLOCKS: Final = ("snaans", "nasnsa", "asnnsa", "nsaasn")


class Slice(NamedTuple):
    """What one arm did in one slice."""

    rate: float
    client_us: float


#: Appends for a while with so many sampled traces, and returns how many appends that were, too.
Run = Callable[[int], Awaitable[tuple[Slice, int]]]


async def pairs(run: Run, blocks: int, tasks: int) -> tuple[dict[str, Any], int]:
    """Return what a sampled trace takes more, with its intervals, and how many appends were made."""
    found: list[dict[str, Slice]] = []
    total = 0
    gc.collect()
    for number in range(blocks):
        taken: dict[str, list[Slice]] = {"s": [], "n": [], "a": []}
        for arm in _BLOCKS[number % len(_BLOCKS)]:
            done, count = await run(1 if arm == "s" else 0)
            taken[arm].append(done)
            total += count
        found.append({arm: mean(slices) for arm, slices in taken.items()})
    rows = {
        "sampled": [(each["s"], mean([each["n"], each["a"]])) for each in found],
        "again": [(each["a"], each["n"]) for each in found],
    }
    result: dict[str, Any] = {name: _row(compared) for name, compared in rows.items()}
    result["us of a span"] = interval([tasks * (mine.client_us - other.client_us) for mine, other in rows["sampled"]])
    return result, total


def _row(compared: list[tuple[Slice, Slice]]) -> dict[str, Any]:
    return {
        "client us": round(statistics.median(mine.client_us for mine, _ in compared), 1),
        "% more us": interval([100 * mine.client_us / other.client_us - 100 for mine, other in compared]),
        "% fewer appends": interval([100 - 100 * mine.rate / other.rate for mine, other in compared]),
    }


async def measured(append: Awaitable[int]) -> tuple[Slice, int]:
    """Return what some appends cost, and how many they were."""
    cpu, started = time.process_time(), time.perf_counter()
    count = await append
    cpu, elapsed = time.process_time() - cpu, time.perf_counter() - started
    return Slice(count / elapsed, cpu / count * 1e6), count


def mean(slices: Sequence[Slice]) -> Slice:
    """Return the mean of some slices."""
    return Slice(*(statistics.fmean(column) for column in zip(*slices, strict=True)))


def interval(values: list[float]) -> list[float]:
    """Return the median of some differences, and the 95 % interval of it."""
    chance = random.Random(len(values))
    medians = sorted(statistics.median(chance.choices(values, k=len(values))) for _ in range(1000))
    return [round(each, 1) for each in (statistics.median(values), medians[25], medians[974])]
