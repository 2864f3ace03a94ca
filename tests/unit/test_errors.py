from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from livingworld import errors
from livingworld.postgres.keyset import newest_cursor

MEMBERS = dict(inspect.getmembers(errors, inspect.isclass))
KINDS = [kind for kind in MEMBERS.values() if issubclass(kind, errors.LivingWorldError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_says_what_happened_and_survives_a_copy(kind: type[errors.LivingWorldError]) -> None:
    error = kind("field", "reason") if issubclass(kind, errors.InvalidInput) else kind(expected=3, actual=5)

    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own bytes
        assert type(twin) is kind
        assert str(twin) == str(error)
        assert twin.__dict__ == error.__dict__
    assert len(str(error)) > 10


def test_data_travels_as_attributes_and_stands_in_the_message() -> None:
    error = errors.StaleHead(expected=3, actual=5)

    assert (error.expected, error.actual) == (3, 5)
    assert str(error).endswith("expected=3, actual=5")


@pytest.mark.parametrize("cursor", ["", "garbage", "Z2FyYmFnZQ==", "é", "MjAyNg=="])
def test_what_no_page_gave_out_is_no_cursor(cursor: str) -> None:
    with pytest.raises(errors.InvalidCursor):
        newest_cursor(cursor)
