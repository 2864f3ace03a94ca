"""Which backend gets a batch: one pure decision on numbers that all come from one moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from livingworld.inputs import MAX_INTEGER, check_integer, check_number
from livingworld.models.embeddings.metrics import Counts


class Backend(Enum):
    """What can embed a batch."""

    FAST = "fast"
    SAFE = "safe"


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchPolicy:
    """When the fast backend is worth it."""

    #: Least speed, as a multiple of the safe backend's. Default: 1.
    least_speed_up: float = 1.0
    #: Least share of its calls that succeed. Default: 0.9.
    least_success_rate: float = 0.9
    #: Fewest texts of a batch that it gets. Default: 1.
    smallest_batch: int = 1
    #: Most texts of a batch that it gets. Default: no limit.
    largest_batch: int = MAX_INTEGER
    #: Calls of a window that try a backend, fast first, before its numbers count. Default: 3.
    fewest_calls: int = 3
    #: Calls after which old numbers are forgotten, so that a backend that was bad is tried again. Default: 100.
    window: int = 100

    def __post_init__(self) -> None:
        """Refuse what could never choose; raises InvalidInput."""
        check_number("least_speed_up", self.least_speed_up, minimum=0, maximum=MAX_INTEGER)
        check_number("least_success_rate", self.least_success_rate, minimum=0, maximum=1)
        check_integer("smallest_batch", self.smallest_batch, minimum=1)
        check_integer("largest_batch", self.largest_batch, minimum=self.smallest_batch)
        check_integer("fewest_calls", self.fewest_calls, minimum=1)
        check_integer("window", self.window, minimum=2 * self.fewest_calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchSnapshot:
    """Everything that one decision rests on, taken at one moment and never changed."""

    fast: Counts
    safe: Counts
    #: Whether the circuit lets a call through to the fast backend.
    fast_permitted: bool
    policy: DispatchPolicy

    @property
    def speed_up(self) -> float | None:
        """How many times as fast the fast backend is; None while one of them was not measured."""
        fast, safe = self.fast.seconds_per_text, self.safe.seconds_per_text
        if fast is None or safe is None:
            return None
        return safe / fast if fast > 0 else float("inf")


def choose(snapshot: DispatchSnapshot, batch_size: int) -> Backend:
    """Return the backend that gets a batch of this size."""
    policy = snapshot.policy
    if not snapshot.fast_permitted or not policy.smallest_batch <= batch_size <= policy.largest_batch:
        return Backend.SAFE
    for backend, counts in ((Backend.FAST, snapshot.fast), (Backend.SAFE, snapshot.safe)):
        if counts.started < policy.fewest_calls:
            return backend
    good = _at_least(snapshot.fast.success_rate, policy.least_success_rate) and _at_least(
        snapshot.speed_up, policy.least_speed_up
    )
    return Backend.FAST if good else Backend.SAFE


def _at_least(measured: float | None, least: float) -> bool:
    """Return whether a number is good enough; one that was not measured is."""
    return measured is None or measured >= least
