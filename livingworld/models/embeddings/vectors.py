"""What a vector must be: the right number of finite numbers, not all of them zero."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from livingworld.errors import DimensionMismatch, InvalidType, InvalidVector

#: Most numbers of a vector: what pgvector compares.
MAX_DIMENSIONS: Final = 16_000
#: As it comes out of livingworld: as long as 1, each number rounded to what a `real` column holds.
Vector: TypeAlias = tuple[float, ...]


def check_vector(field: str, value: object, *, dimensions: int | None = None) -> tuple[float, ...]:
    """Return the numbers of a vector; raise InvalidType, DimensionMismatch or InvalidVector.

    A list, tuple or one-dimensional array of numbers is taken, of NumPy too; bools and texts are not numbers.
    """
    numbers = _numbers(field, value)
    if not 1 <= len(numbers) <= MAX_DIMENSIONS:
        raise InvalidVector(field, f"has {len(numbers)} numbers, not 1 to {MAX_DIMENSIONS}")
    if dimensions is not None and len(numbers) != dimensions:
        reason = f"has {len(numbers)} numbers; the embedder's vectors have {dimensions}"
        raise DimensionMismatch(field, reason, expected=dimensions, actual=len(numbers))
    for place, number in enumerate(numbers):
        if not math.isfinite(number):
            raise InvalidVector(f"{field}[{place}]", "must be finite")
    if not any(numbers):
        raise InvalidVector(field, "must not be the zero vector, which has no direction")
    return numbers


def normalized(vector: Sequence[float]) -> Vector:
    """Return the vector of the same direction and length 1, as a `real` column gives it back.

    The vector is finite and not zero; see `check_vector`.
    """
    largest = max(map(abs, vector))
    scaled = [number / largest for number in vector]  # so that neither tiny nor huge numbers vanish when squared
    length = math.hypot(*scaled)
    return tuple(array("f", [number / length for number in scaled]))


def _numbers(field: str, value: object) -> tuple[float, ...]:
    if isinstance(value, str | bytes | bytearray | dict | set | frozenset) or not isinstance(value, Iterable):
        raise InvalidType(field, f"must be a list of numbers, not {type(value).__name__}")
    items = tuple(value)
    if any(isinstance(item, bool) for item in items):
        raise InvalidType(field, "holds a bool, which is no number here")
    try:
        return tuple(array("d", items))
    except (TypeError, ValueError):
        reason = "holds something that is not a number"
    except OverflowError:
        reason = "holds an integer that is too large"
    raise InvalidType(field, reason)
