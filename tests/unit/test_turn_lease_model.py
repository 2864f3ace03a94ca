"""Every state of the turn lease with four requests of three keys: no promise is broken, and each guard is needed."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Final

import pytest

from tests.support.turn_lease_model import Guard, Try, TurnLease
from tests.support.turn_lease_states import explore

POLICIES: Final = ("queue", "replace", "merge")
#: Two tries of the first key, and one of each other key.
REQUESTS: Final = [
    (Try(0, first), Try(0, first), Try(1, second), Try(2, third))
    for first in POLICIES
    for second, third in combinations_with_replacement(POLICIES, 2)
]


@pytest.mark.any_server
@pytest.mark.rotates(parts=6)
@pytest.mark.parametrize("tries", REQUESTS, ids=lambda tries: "-".join(each.busy for each in tries[1:]))
def test_no_state_breaks_a_promise(tries: tuple[Try, ...]) -> None:
    states, broken = explore(TurnLease(tries, faults=2))

    assert broken == ""
    assert states > 15_000


@pytest.mark.any_server
@pytest.mark.parametrize("guard", list(Guard), ids=lambda guard: guard.name.lower())
def test_without_a_guard_a_promise_is_broken(guard: Guard) -> None:
    # The last requests all merge, which leads to a broken promise soonest.
    assert any(explore(TurnLease(tries, frozenset({guard})))[1] for tries in reversed(REQUESTS))
