from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livingworld.errors import InvalidInput
from livingworld.models.embeddings.dispatch import Backend, DispatchPolicy, DispatchSnapshot, choose
from livingworld.models.embeddings.metrics import Counts

POLICY = DispatchPolicy(least_speed_up=2, least_success_rate=0.9, smallest_batch=4, largest_batch=64)


def counts(*, succeeded: int = 10, failed: int = 0, seconds: float = 1.0) -> Counts:
    return Counts(started=succeeded + failed, succeeded=succeeded, failed=failed, texts=succeeded * 10, seconds=seconds)


def snapshot(fast: Counts, safe: Counts, *, permitted: bool = True) -> DispatchSnapshot:
    return DispatchSnapshot(fast=fast, safe=safe, fast_permitted=permitted, policy=POLICY)


GOOD = snapshot(counts(), counts(seconds=2.0))


def test_a_fast_backend_that_is_worth_it_gets_the_batch() -> None:
    assert GOOD.speed_up == 2
    assert choose(GOOD, 10) is Backend.FAST


@pytest.mark.parametrize(
    ("size", "chosen"), [(3, Backend.SAFE), (4, Backend.FAST), (64, Backend.FAST), (65, Backend.SAFE)]
)
def test_batches_outside_the_thresholds_are_safe(size: int, chosen: Backend) -> None:
    assert choose(GOOD, size) is chosen


def test_too_little_speed_too_many_failures_and_an_open_circuit_are_safe() -> None:
    assert choose(snapshot(counts(), counts(seconds=1.9)), 10) is Backend.SAFE
    assert choose(snapshot(counts(succeeded=8, failed=2), counts(seconds=9)), 10) is Backend.SAFE
    assert choose(snapshot(counts(), counts(seconds=9), permitted=False), 10) is Backend.SAFE


def test_a_backend_without_numbers_is_tried_the_fast_one_first() -> None:
    assert choose(snapshot(Counts(), Counts()), 10) is Backend.FAST
    assert choose(snapshot(Counts(started=3, in_flight=3), Counts()), 10) is Backend.SAFE
    assert choose(snapshot(Counts(started=3, in_flight=3), Counts(started=3, in_flight=3)), 10) is Backend.FAST


NUMBERS = st.builds(
    counts, succeeded=st.integers(0, 50), failed=st.integers(0, 50), seconds=st.floats(0, 100, allow_nan=False)
)


@given(NUMBERS, NUMBERS, st.booleans(), st.integers(1, 100))
def test_the_fast_backend_is_chosen_only_for_a_reason(fast: Counts, safe: Counts, permitted: bool, size: int) -> None:  # noqa: FBT001 - drawn
    taken = snapshot(fast, safe, permitted=permitted)
    chosen = choose(taken, size)

    assert chosen is choose(taken, size)
    if chosen is Backend.FAST:
        assert permitted
        assert 4 <= size <= 64
        tried = fast.started >= POLICY.fewest_calls
        assert not tried or (fast.success_rate is None or fast.success_rate >= 0.9)
        assert not tried or (taken.speed_up is None or taken.speed_up >= 2)


BAD: list[dict[str, Any]] = [
    {"least_speed_up": -1},
    {"least_success_rate": 1.1},
    {"least_success_rate": float("nan")},
    {"smallest_batch": 0},
    {"smallest_batch": 5, "largest_batch": 4},
    {"fewest_calls": 0},
    {"window": 5},
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_policy_that_cannot_choose_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        DispatchPolicy(**bad)
