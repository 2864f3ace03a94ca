"""The check of a length of time that the database is to compute with."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from livingworld.errors import InvalidNumber, InvalidType

#: Longest time that a caller may name.
MAX_DURATION: Final = timedelta(days=36_500)


def check_duration(field: str, value: object, *, zero: bool = False) -> timedelta:
    """Return `value` unchanged if it is a length of time that is not negative and not absurd."""
    if not isinstance(value, timedelta):
        raise InvalidType(field, f"must be a timedelta, not {type(value).__name__}")
    if value > MAX_DURATION or value < timedelta(0) or (value == timedelta(0) and not zero):
        raise InvalidNumber(field, "must not be negative" if zero else "must be more than nothing")
    return value
