from __future__ import annotations

from livingworld.inputs import check_text, storable_error_text


def test_an_error_becomes_text_that_a_column_can_hold() -> None:
    stored = storable_error_text(ZeroDivisionError("a\x00b\ud800c"))

    assert stored == "ZeroDivisionError: a\N{REPLACEMENT CHARACTER}b?c"
    assert check_text("error", stored) == stored


def test_a_reason_is_cut_to_the_limit() -> None:
    assert storable_error_text("too long", limit=3) == "too"
    assert len(storable_error_text("x" * 1_000_000)) == 100_000
