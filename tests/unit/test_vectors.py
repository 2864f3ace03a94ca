from __future__ import annotations

import math
from array import array
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livingworld.errors import DimensionMismatch, InvalidInput, InvalidNumber, InvalidType, InvalidVector
from livingworld.models.embeddings.vectors import check_vector, normalized

FINITE = st.floats(allow_nan=False, allow_infinity=False)
VECTORS = st.lists(FINITE, min_size=1, max_size=20).filter(any)


def test_a_vector_of_another_size_is_named_with_both_sizes() -> None:
    with pytest.raises(DimensionMismatch) as caught:
        check_vector("embedding", [1.0, 2.0], dimensions=3)

    assert (caught.value.field, caught.value.expected, caught.value.actual) == ("embedding", 3, 2)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_named_by_its_place(bad: float) -> None:
    with pytest.raises(InvalidVector) as caught:
        check_vector("embedding", [1.0, bad], dimensions=2)

    assert caught.value.field == "embedding[1]"
    assert isinstance(caught.value, InvalidNumber)


def test_the_zero_vector_has_no_direction() -> None:
    with pytest.raises(InvalidVector, match="zero"):
        check_vector("embedding", [0.0, -0.0, 0], dimensions=3)


BAD: list[Any] = [
    None,
    3,
    "123",
    b"\x00" * 24,
    {1: 2},
    {1.0, 2.0, 3.0},
    [True, 1.0, 2.0],
    ["1", "2", "3"],
    [None] * 3,
    [[1]],
]


@pytest.mark.parametrize("bad", [*BAD, [10**400, 1, 1]], ids=lambda bad: repr(bad)[:20])
def test_what_is_no_list_of_numbers_is_refused(bad: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidType):
        check_vector("embedding", bad, dimensions=3)


@pytest.mark.parametrize("good", [(1, 2, 3), [1.5, 2, Decimal(3)], array("f", [1, 2, 3])], ids=repr)
def test_lists_tuples_and_arrays_of_numbers_are_vectors(good: Any) -> None:  # noqa: ANN401
    assert len(check_vector("embedding", good, dimensions=3)) == 3


@given(VECTORS)
@example([1.7e308] * 4)
@example([5e-324, 0.0])
def test_a_normalised_vector_has_length_one_and_the_same_direction(vector: list[float]) -> None:
    unit = normalized(vector)

    assert math.isclose(math.hypot(*unit), 1, rel_tol=1e-5)
    assert array("f", unit).tolist() == list(unit), "a real column gives it back unchanged"
    largest = max(map(abs, vector))
    scaled = [number / largest for number in vector]
    cosine = math.fsum(a * b for a, b in zip(scaled, unit, strict=True)) / math.hypot(*scaled)
    assert cosine > 0.9999


@given(st.lists(st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.text()), max_size=6))
def test_whatever_is_accepted_can_be_normalised(numbers: list[Any]) -> None:
    try:
        checked = check_vector("embedding", numbers, dimensions=3)
    except InvalidInput:
        return
    assert any(normalized(checked))
