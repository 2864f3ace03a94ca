from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livingworld.errors import InvalidNumber
from livingworld.testing.hashing_embedder import HashingEmbedder


def cosine(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


async def test_shared_words_make_texts_close_whatever_their_order_and_case() -> None:
    lantern, again, near, far = await HashingEmbedder().embed(
        [
            "The lantern burns on the causeway",
            "the causeway burns: on the LANTERN!",
            "A lantern burns by the water",
            "Two bakers quarrel over flour",
        ]
    )

    assert lantern == again
    assert cosine(lantern, near) > cosine(lantern, far) + 0.2


async def test_the_vectors_are_the_same_in_every_process() -> None:
    (vector,) = await HashingEmbedder(4).embed(["lantern"])

    assert vector == (0.0, 0.0, -1.0, 0.0)


@given(st.text(max_size=50), st.integers(1, 8))
def test_every_text_has_a_direction(text: str, dimensions: int) -> None:
    vector = HashingEmbedder(dimensions)._vector(text)

    assert len(vector) == dimensions
    assert math.isclose(math.hypot(*vector), 1, rel_tol=1e-9)


@pytest.mark.parametrize("text", ["", "...", "!?"])
async def test_a_text_without_words_is_not_the_zero_vector(text: str) -> None:
    (vector,) = await HashingEmbedder().embed([text])

    assert any(vector)


def test_there_is_no_vector_without_numbers() -> None:
    with pytest.raises(InvalidNumber):
        HashingEmbedder(0)
