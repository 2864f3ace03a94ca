"""What a template may cost, and what refuses more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from livingworld.errors import TemplateLimitExceeded

#: A letter of the longest text stands for so many of lists in lists, and for so many bytes of all that is made.
_WEIGHT, _TOTAL = 10, 50
#: A shorter output still leaves what one of so many letters does to work with.
_LEAST: Final = 100_000
#: An item of the longest list stands for so many letters.
_LETTERS_OF_AN_ITEM: Final = 4


@dataclass(frozen=True, slots=True)
class TemplateLimits:
    """What one template may cost."""

    #: Of the body.
    characters: int
    #: Statements and expressions, `{%` and `{{`, in the body: what compiling takes long for.
    tags: int
    #: Of what is rendered, and of every text on the way.
    output: int
    #: How long it may render.
    seconds: float

    @property
    def items(self) -> int:
        """Of every list on the way."""
        return max(self.output, _LEAST) // _LETTERS_OF_AN_ITEM

    @property
    def weight(self) -> int:
        """What a list that is sorted, compared or held by another one may have if it were written."""
        return max(self.output, _LEAST) * _WEIGHT

    @property
    def total(self) -> int:
        """Bytes, about, of all values that one rendering makes."""
        return max(self.output, _LEAST) * _TOTAL


#: Without settings of another kind.
LIMITS: Final = TemplateLimits(characters=200_000, tags=2_000, output=1_000_000, seconds=1.0)


def refuse_large(size: int, most: int) -> None:
    """Raise TemplateLimitExceeded when a size is more than may be."""
    if size > most:
        raise TemplateLimitExceeded(limit="size")
