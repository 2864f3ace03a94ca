from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livingworld import ABSENT, MergeConflict, Strategies, Strategy
from livingworld.coordination.documents.merge import Sides, merge, same

FIELDS = st.sampled_from("abcdef")
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 1.0, 2.5]), st.text(max_size=2))
JSON = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=2))
OBJECTS = st.dictionaries(FIELDS, JSON)
CHANGES = st.dictionaries(FIELDS, JSON | st.just(ABSENT))
STRATEGY = st.sampled_from(["prefer_newer", "prefer_higher", "last_write_wins", "manual"])
STRATEGIES: st.SearchStrategy[Any] = STRATEGY | st.dictionaries(FIELDS, STRATEGY)
SIDES = st.builds(
    Sides,
    base=OBJECTS,
    theirs=OBJECTS,
    changes=CHANGES,
    base_version=st.integers(1, 9),
    their_version=st.integers(10, 19),
)


def sides(base: dict[str, Any], theirs: dict[str, Any], changes: dict[str, Any]) -> Sides:
    return Sides(base=base, base_version=1, theirs=theirs, their_version=2, changes=changes)


def our_document(given: Sides) -> dict[str, Any]:
    """Return what the caller would have stored had nobody else written."""
    mine = {**given.base, **given.changes}
    return {field: value for field, value in mine.items() if value is not ABSENT}


@given(SIDES, STRATEGIES)
def test_what_either_side_changed_is_in_the_result_or_in_a_conflict(given: Sides, strategies: Strategies) -> None:
    merged, conflicts = merge(given, strategies)
    told = {conflict.field: conflict for conflict in conflicts}

    for side, name in ((our_document(given), "ours"), (given.theirs, "theirs")):
        for field in {*given.base, *side}:
            value = side.get(field, ABSENT)
            if not same(value, given.base.get(field, ABSENT)) and not same(merged.get(field, ABSENT), value):
                assert same(getattr(told[field], name), value)


@given(SIDES, STRATEGIES)
def test_nothing_is_in_the_result_that_neither_side_had(given: Sides, strategies: Strategies) -> None:
    merged, _ = merge(given, strategies)
    ours = our_document(given)

    for field in {*merged, *given.theirs, *ours}:
        value = merged.get(field, ABSENT)
        assert same(value, ours.get(field, ABSENT)) or same(value, given.theirs.get(field, ABSENT))


@given(SIDES, STRATEGIES)
def test_only_what_both_sides_changed_is_a_conflict(given: Sides, strategies: Strategies) -> None:
    _, conflicts = merge(given, strategies)

    for conflict in conflicts:
        assert not same(conflict.ours, conflict.base)
        assert not same(conflict.theirs, conflict.base)
        assert not same(conflict.ours, conflict.theirs)
        assert (conflict.base_version, conflict.their_version) == (given.base_version, given.their_version)


@given(SIDES)
def test_two_strategies_decide_every_conflict_and_manual_none(given: Sides) -> None:
    ours, theirs, undecided = (merge(given, name) for name in ("last_write_wins", "prefer_newer", "manual"))

    assert {conflict.resolved for conflict in ours[1]} <= {"ours"}
    assert {conflict.resolved for conflict in theirs[1]} <= {"theirs"}
    assert {conflict.resolved for conflict in undecided[1]} <= {None}
    assert same(theirs[0], undecided[0])
    for conflict in ours[1]:
        assert same(ours[0].get(conflict.field, ABSENT), conflict.ours)


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False), st.integers())
def test_prefer_higher_takes_the_greater_number(ours: float, theirs: int) -> None:
    merged, _ = merge(sides({"a": None}, {"a": theirs}, {"a": ours}), "prefer_higher")

    assert merged == {"a": max(ours, theirs)}


@pytest.mark.parametrize(("ours", "theirs"), [(True, 3), ("9", 3), (3, None), (ABSENT, 3), (3, [4])])
def test_prefer_higher_leaves_what_is_no_number_to_the_caller(ours: object, theirs: object) -> None:
    merged, (conflict,) = merge(sides({"a": 1}, {"a": theirs}, {"a": ours}), "prefer_higher")

    assert merged == {"a": theirs}
    assert (conflict.ours, conflict.theirs, conflict.resolved) == (ours, theirs, None)


@pytest.mark.parametrize(
    ("base", "theirs", "changes", "expected", "conflicting"),
    [
        ({"a": 1}, {"a": 1}, {"a": ABSENT}, {}, False),
        ({"a": 1}, {}, {"b": 2}, {"b": 2}, False),
        ({"a": 1}, {}, {"a": ABSENT}, {}, False),
        ({"a": 1}, {}, {"a": 1}, {}, False),
        ({"a": 1}, {}, {"a": 2}, {"a": 2}, True),
        ({"a": 1}, {"a": 3}, {"a": ABSENT}, {}, True),
        ({"a": 1}, {"a": None}, {"a": ABSENT}, {}, True),
        ({"a": 1}, {"a": 1}, {"a": None}, {"a": None}, False),
        ({"a": 1}, {"a": True}, {"a": 1.0}, {"a": True}, False),
    ],
)
def test_removed_fields_and_null(
    base: dict[str, Any],
    theirs: dict[str, Any],
    changes: dict[str, Any],
    expected: dict[str, Any],
    *,
    conflicting: bool,
) -> None:
    merged, conflicts = merge(sides(base, theirs, changes), "last_write_wins")

    assert merged == expected
    assert bool(conflicts) is conflicting


def test_each_field_has_its_strategy_and_one_without_is_left_to_the_caller() -> None:
    by_field: dict[str, Strategy] = {"gold": "prefer_higher", "mood": "last_write_wins"}
    stored = {"gold": 5, "mood": "wary", "place": "inn"}
    merged, conflicts = merge(sides({}, stored, {"gold": 3, "mood": "calm", "place": "pier"}), by_field)

    assert merged == {"gold": 5, "mood": "calm", "place": "inn"}
    assert [(conflict.field, conflict.resolved) for conflict in conflicts] == [
        ("gold", "theirs"),
        ("mood", "ours"),
        ("place", None),
    ]
    assert conflicts[2] == MergeConflict(
        field="place", base=ABSENT, ours="pier", theirs="inn", base_version=1, their_version=2, resolved=None
    )


@given(JSON, JSON)
def test_equal_is_what_is_equal_in_the_database(one: object, other: object) -> None:
    assert same(one, one)
    assert same(one, other) == same(other, one)
    assert not same(1, other=True)
    assert same({"a": [1]}, {"a": [1.0]})
    assert not same({"a": [1]}, {"a": [True]})
