"""Which lock comes out of order is decided without a database."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livingworld.postgres.transactions.lock_order import LockKind, LockOrder
from site_generator.reference import filled

PAGE = Path(__file__).parents[2] / "docs/explanation/locking.md"
LOCKS = st.tuples(st.sampled_from(LockKind), st.integers(0, 9))


def holding(*locks: tuple[LockKind, int]) -> LockOrder:
    order = LockOrder()
    for kind, key in locks:
        order.hold(kind, key)
    return order


def test_what_is_held_may_be_asked_for_again() -> None:
    order = holding((LockKind.STORY, 2), (LockKind.LANE, 1))

    assert not order.is_late(LockKind.STORY, 2)
    assert order.is_late(LockKind.STORY, 3)
    assert not order.is_late(LockKind.LANE, 2)
    assert order.is_late(LockKind.LANE, 0)


@given(st.lists(LOCKS), LOCKS)
def test_late_is_what_comes_before_something_that_is_held(
    locks: list[tuple[LockKind, int]], asked: tuple[LockKind, int]
) -> None:
    assert holding(*locks).is_late(*asked) == (asked not in locks and any(asked < lock for lock in locks))


def test_a_lock_is_compared_with_one_other_however_many_are_held() -> None:
    compared = 0

    class Key(int):
        def __lt__(self, other: int) -> bool:
            nonlocal compared
            compared += 1
            return int(self) < int(other)

    order = holding(*((LockKind.LANE, Key(number)) for number in range(1_000)))
    compared = 0

    assert order.is_late(LockKind.LANE, Key(-1))
    assert not order.is_late(LockKind.LANE, Key(1_000))
    assert compared == 2


def test_a_copy_does_not_see_what_comes_later_and_is_gone_back_to() -> None:
    order = holding((LockKind.STORY, 1))
    before = order.copy()
    order.hold(LockKind.STORY, 2)

    assert not before.is_late(LockKind.STORY, 2)
    assert order.is_late(LockKind.STORY, 1) is False
    order.restore(before)
    assert order.held(LockKind.STORY) == {1}
    assert not order.is_late(LockKind.STORY, 2)


def test_the_refusal_says_what_is_held_what_was_asked_for_and_what_to_call_first() -> None:
    refused = holding((LockKind.CHARACTER, 1)).refusal(LockKind.STORY)

    assert str(refused) == (
        "Another transaction holds a story, and waiting for it here would be out of order: this transaction holds a"
        " character or a name, which comes later. Call tx.stories.lock(story_id) before what locks a character or a"
        " name; otherwise two transactions can wait for each other."
    )
    assert (refused.asked_for, refused.held) == ("a story", "a character or a name")
    assert refused.call_first == "tx.stories.lock(story_id)"


@pytest.mark.parametrize("kind", LockKind, ids=lambda kind: kind.name)
def test_every_kind_has_its_words(kind: LockKind) -> None:
    refused = holding((kind, 2)).refusal(kind)

    assert refused.asked_for == refused.held
    assert not any(each.name in str(refused) for each in LockKind)


def test_the_page_has_the_declared_order() -> None:
    rows = re.findall(
        r"^\| (\d+) \| `(\w+)` \| \w.+ \| .+ \| .+ \|$", filled(PAGE.read_text(encoding="utf-8")), re.MULTILINE
    )

    assert rows == [(str(kind.value), kind.name.lower()) for kind in sorted(LockKind)]
