from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livingworld.errors import CircuitOpen, InvalidInput
from livingworld.models.embeddings.circuit_breaker import CircuitBreaker, CircuitState, Permit


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def fresh(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(clock, failures=3, rest=timedelta(seconds=10))


def state_of(breaker: CircuitBreaker) -> CircuitState:
    """Return the state as it is now, which a type checker would take for what it was before."""
    return breaker.state


def opened(clock: Clock) -> CircuitBreaker:
    breaker = fresh(clock)
    for _ in range(3):
        breaker.fail(breaker.begin())
    return breaker


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not() -> None:
    breaker = fresh(Clock())
    for _ in range(2):
        breaker.fail(breaker.begin())
    breaker.succeed(breaker.begin())
    for _ in range(2):
        breaker.fail(breaker.begin())
    assert state_of(breaker) is CircuitState.CLOSED

    breaker.fail(breaker.begin())

    assert state_of(breaker) is CircuitState.OPEN
    with pytest.raises(CircuitOpen):
        breaker.begin()


def test_after_the_rest_one_probe_goes_through_and_no_other_call() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 9.9
    assert not breaker.permitted
    clock.now = 10
    assert state_of(breaker) is CircuitState.HALF_OPEN

    probe = breaker.begin()

    assert not breaker.permitted
    with pytest.raises(CircuitOpen):
        breaker.begin()
    breaker.succeed(probe)
    assert state_of(breaker) is CircuitState.CLOSED
    assert breaker.permitted


def test_a_probe_that_fails_opens_it_for_another_rest() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 15
    breaker.fail(breaker.begin())

    clock.now = 24.9
    assert state_of(breaker) is CircuitState.OPEN
    clock.now = 25
    assert breaker.permitted


def test_a_probe_that_was_cancelled_makes_room_for_the_next() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 10
    breaker.release(breaker.begin())

    assert breaker.permitted
    assert state_of(breaker) is CircuitState.HALF_OPEN


def test_what_began_before_it_opened_changes_nothing() -> None:
    clock = Clock()
    breaker = fresh(clock)
    late = [breaker.begin() for _ in range(3)]
    for _ in range(3):
        breaker.fail(breaker.begin())
    clock.now = 10
    probe = breaker.begin()

    breaker.succeed(late[0])
    breaker.fail(late[1])
    breaker.release(late[2])

    assert state_of(breaker) is CircuitState.HALF_OPEN
    assert not breaker.permitted
    breaker.succeed(probe)
    for permit in late:
        breaker.fail(permit)
    assert state_of(breaker) is CircuitState.CLOSED


def test_a_breaker_that_could_never_open_or_close_is_refused() -> None:
    with pytest.raises(InvalidInput, match="failures"):
        CircuitBreaker(Clock(), failures=0)
    with pytest.raises(InvalidInput, match="rest"):
        CircuitBreaker(Clock(), rest=timedelta(seconds=-1))


STEPS = st.lists(st.tuples(st.sampled_from(["begin", "succeed", "fail", "release", "wait"]), st.integers(0, 9)))


@given(STEPS)
def test_whatever_happens_there_is_one_probe_at_most(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    breaker = fresh(clock)
    under_way: list[tuple[Permit, CircuitState]] = []
    for step, number in steps:
        if step == "wait":
            clock.now += number
        elif step == "begin" and breaker.permitted:
            under_way.append((breaker.begin(), breaker.state))
        elif step != "begin" and under_way:
            getattr(breaker, step)(under_way.pop(number % len(under_way))[0])
        probes = [permit for permit, state in under_way if state is CircuitState.HALF_OPEN]
        assert len(probes) <= 1
        assert not (breaker.state is CircuitState.HALF_OPEN and probes and breaker.permitted)
