"""A distribution of many values in bounded memory: count, sum, extremes, and buckets of which each is 9 % wide."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import add
from typing import Final

from livingworld.observability.instruments import ALL

#: The upper bound of each bucket but the last: eight for each doubling from a microsecond to two million, the round
#: numbers 1, 2.5 and 5 of each power of ten, and those that an instrument is exported with: a scraper's coarse bounds
#: are bounds here too.
BOUNDS: Final = tuple(
    sorted(
        {2.0 ** (eighth / 8) for eighth in range(-20 * 8, 21 * 8)}
        | {float(f"{digits}e{power}") for power in range(-6, 7) for digits in ("1", "2.5", "5")}
        | {float(bound) for instrument in ALL for bound in instrument.bounds}
    )
)


@dataclass(frozen=True, slots=True)
class Distribution:
    """The values that were recorded: how many, their sum, their extremes, and how many fell into each bucket."""

    count: int = 0
    sum: float = 0.0
    #: None when there is no value.
    minimum: float | None = None
    maximum: float | None = None
    #: One number for each of BOUNDS, and one for what is greater; empty when there is no value.
    buckets: tuple[int, ...] = ()

    def percentile(self, percent: float) -> float | None:
        """Return the value that `percent` of the values do not exceed, within 4.5 %; None when there is no value.

        Exact at 0 and 100.
        """
        if self.minimum is None or self.maximum is None:
            return None
        if percent <= 0:
            return self.minimum
        rank = min(math.ceil(self.count * percent / 100), self.count)
        bucket = bisect_left(tuple(accumulate(self.buckets)), rank)
        return self.maximum if rank == self.count else min(max(middle(bucket), self.minimum), self.maximum)

    def at_most(self, bound: float) -> int:
        """Return how many values do not exceed one of BOUNDS."""
        return self.at_most_each((bound,))[0]

    def at_most_each(self, bounds: Sequence[float]) -> list[int]:
        """Return how many values do not exceed each of some of BOUNDS."""
        up_to = tuple(accumulate(self.buckets))
        return [up_to[bisect_left(BOUNDS, bound)] if up_to else 0 for bound in bounds]

    def __add__(self, other: Distribution) -> Distribution:
        """Return the values of both."""
        if not self.count or not other.count:
            return self if self.count else other
        return Distribution(
            self.count + other.count,
            self.sum + other.sum,
            min(each for each in (self.minimum, other.minimum) if each is not None),
            max(each for each in (self.maximum, other.maximum) if each is not None),
            tuple(map(add, self.buckets, other.buckets)),
        )


def middle(bucket: int) -> float:
    """Return the value that stands for a bucket: the geometric mean of its bounds."""
    if bucket == 0:
        return BOUNDS[0]
    return BOUNDS[-1] if bucket == len(BOUNDS) else math.sqrt(BOUNDS[bucket - 1] * BOUNDS[bucket])


class Histogram:
    """Takes values one by one; used in one thread, without a lock."""

    __slots__ = ("_buckets", "_maximum", "_minimum", "_sum")

    def __init__(self) -> None:
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0
        self._minimum, self._maximum = math.inf, -math.inf

    def record(self, value: float) -> None:
        """Add one value, which is not negative."""
        self._sum += value
        if value < self._minimum:  # noqa: PLR1730 - a call of min() costs three comparisons
            self._minimum = value
        if value > self._maximum:  # noqa: PLR1730
            self._maximum = value
        self._buckets[bisect_left(BOUNDS, value)] += 1

    def record_each(self, values: Sequence[float]) -> None:
        """Add several values."""
        if not values:
            return
        self._sum += sum(values)
        self._minimum, self._maximum = min(self._minimum, *values), max(self._maximum, *values)
        buckets = self._buckets
        for value in values:
            buckets[bisect_left(BOUNDS, value)] += 1

    def take(self) -> Distribution:
        """Return what was recorded since the last time, and begin again."""
        count = sum(self._buckets)
        if not count:
            return Distribution()
        taken = Distribution(count, self._sum, self._minimum, self._maximum, tuple(self._buckets))
        Histogram.__init__(self)
        return taken
