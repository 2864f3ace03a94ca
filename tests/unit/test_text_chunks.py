from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livingworld.models.embeddings.chunking import combine, split_text
from livingworld.models.embeddings.vectors import normalized

PROSE = st.text(alphabet=st.sampled_from("ab .!?\n\t\"')…。\u00a0\r"), max_size=400) | st.text(max_size=200)
LIMITS = st.integers(1, 50)
UNITS = st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(lambda vector: max(map(abs, vector)) > 0.01)


@given(PROSE, LIMITS)
def test_no_character_is_lost_and_no_part_is_too_long(text: str, limit: int) -> None:
    parts = split_text(text, limit)

    assert "".join(parts) == text
    assert all(1 <= len(part) <= limit for part in parts)


@given(st.lists(st.text(alphabet="abc", min_size=1, max_size=10), min_size=1), st.integers(11, 40))
def test_no_word_is_cut_that_fits_with_its_blank(words: list[str], limit: int) -> None:
    parts = split_text(" ".join(words), limit)

    assert [word for part in parts for word in part.split()] == words


@given(st.text(alphabet="ab. \n", max_size=300), LIMITS)
def test_parts_are_as_long_as_half_the_limit_where_blanks_allow_it(text: str, limit: int) -> None:
    for part in split_text(text, limit)[:-1]:
        assert len(part) >= limit // 2 or part[-1].isspace()


def test_a_paragraph_is_preferred_to_a_sentence_and_that_to_a_word() -> None:
    assert split_text("One two. Three\n\nfour five. Six", 20) == ("One two. Three\n\n", "four five. Six")
    assert split_text("One two three. Four five", 20) == ("One two three. ", "Four five")
    assert split_text("One two three four five six", 20) == ("One two three four ", "five six")
    assert split_text("Quoted “words.” Then more", 20) == ("Quoted “words.” ", "Then more")


def test_a_word_that_is_longer_than_a_part_is_cut() -> None:
    assert split_text("abcdefghij", 4) == ("abcd", "efgh", "ij")


def test_a_text_that_fits_is_one_part_and_an_empty_one_none() -> None:
    assert split_text("abcd", 4) == ("abcd",)
    assert split_text("", 4) == ()


@pytest.mark.parametrize(
    "nasty", ["." * 1_000_000, "\n" * 1_000_000, '."' * 500_000, " \n" * 500_000, "a\n " * 300_000]
)
def test_a_text_made_to_be_slow_is_not(nasty: str) -> None:
    assert sum(map(len, split_text(nasty, 900_000))) == len(nasty)


@given(st.lists(st.tuples(st.integers(1, 1000), UNITS), min_size=1, max_size=8))
def test_the_whole_has_length_one(parts: list[tuple[int, list[float]]]) -> None:
    whole = combine(["x" * length for length, _ in parts], [normalized(vector) for _, vector in parts])

    assert math.isclose(math.hypot(*whole), 1, rel_tol=1e-5)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=8), UNITS)
def test_parts_that_agree_make_a_whole_that_agrees(lengths: list[int], vector: list[float]) -> None:
    unit = normalized(vector)
    whole = combine(["x" * length for length in lengths], [unit] * len(lengths))

    assert all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(whole, unit, strict=True))


def test_a_longer_part_weighs_more() -> None:
    whole = combine(["x" * 300, "x" * 100], [(1.0, 0.0), (0.0, 1.0)])

    assert math.isclose(whole[0] / whole[1], 3, rel_tol=1e-5)


def test_where_parts_cancel_each_other_out_the_longest_stands_for_all() -> None:
    assert combine(["xx", "x", "x"], [(1.0, 0.0), (-1.0, 0.0), (-1.0, 0.0)]) == (1.0, 0.0)
