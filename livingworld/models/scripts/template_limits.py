"""What a template may cost, and what refuses more."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

from livingworld.errors import TemplateLimitExceeded

#: A number in a format that is so long asks for more than any limit.
_WIDE: Final = re.compile(r"\d{7,}")
#: Bits of a power; more take long.
_MOST_BITS: Final = 10_000
#: So many items of a list are copied as fast as one text is made.
_COPIED_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class TemplateLimits:
    """What one template may cost."""

    #: Of the body.
    characters: int
    #: Statements and expressions, `{%` and `{{`, in the body: what compiling takes long for.
    tags: int
    #: Of what is rendered, and of every text and list on the way.
    output: int
    #: How long it may render.
    seconds: float


#: Without settings of another kind.
LIMITS: Final = TemplateLimits(characters=200_000, tags=2_000, output=1_000_000, seconds=1.0)


#: When the rendering that goes on here has to end, by the monotonic clock.
DEADLINE: ContextVar[float] = ContextVar("deadline of a template")


def tick() -> str:
    """Raise TemplateLimitExceeded when the time of the rendering is over."""
    if time.monotonic() > DEADLINE.get(float("inf")):
        raise TemplateLimitExceeded(limit="time")
    return ""


def limited_filter(name: str, function: Callable[..., Any], most: int) -> Callable[..., Any]:
    """Return a filter that refuses arguments and results that are too large."""

    @wraps(function)
    def limited(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the filter
        tick()
        refuse_arguments(name, (*args, *options.values()), most)
        if name == "sum":  # its first argument is the environment
            args = (args[0], _watched(args[1], most), *args[2:])
        result = function(*args, **options)
        refuse_large(len(result) if isinstance(result, (str, list)) else 0, most)
        return result

    return limited


def refuse_operation(operator: str, left: object, right: object, most: int) -> None:
    """Raise TemplateLimitExceeded when the result of an operation would be too large."""
    if operator == "**":
        refuse_large(_bits(left) * right if isinstance(right, int) else 0, _MOST_BITS)
    elif operator == "%" and isinstance(left, (str, bytes)):
        refuse_arguments("format", (left, *(right if isinstance(right, tuple) else (right,))), most)
    elif operator == "+" and isinstance(left, (str, bytes, list, tuple)):
        refuse_large(_size(left) + _size(right), most)
    elif operator == "*":
        for text, count in ((left, right), (right, left)):
            if isinstance(text, (str, bytes, list, tuple)) and isinstance(count, int):
                refuse_large(len(text) * count, most)
        if isinstance(left, int) and isinstance(right, int):
            refuse_large(_bits(left) + _bits(right), _MOST_BITS)


def refuse_arguments(name: str, given: tuple[Any, ...], most: int) -> None:
    """Refuse a function of a text whose arguments ask for more than may be."""
    texts = [each for each in given if isinstance(each, (str, bytes))]
    if name == "format":
        for text in texts:
            refuse_large(most + 1 if _WIDE.search(str(text)) else 0, most)
        if not any("*" in str(text) or "{" in str(text).replace("{}", "") for text in texts):
            return
    refuse_large(max((each for each in given if isinstance(each, int)), default=0), most)
    _refuse_products(name, given, texts, most)
    if name == "replace" and len(texts) >= 3:  # noqa: PLR2004 - the text, what is replaced, and by what
        refuse_large((len(texts[0]) // max(len(texts[1]), 1) + 1) * len(texts[2]), most)
    if name == "join":
        lists = [each for each in given if isinstance(each, (list, tuple))]
        refuse_large(sum(_size(each) + max(map(len, texts), default=0) for some in lists for each in some), most)


def _refuse_products(name: str, given: tuple[Any, ...], texts: list[Any], most: int) -> None:
    """Refuse what repeats one argument for each line, item or letter of another."""
    if name == "indent" and texts:
        width = max((each if isinstance(each, int) else _size(each) for each in given[1:]), default=0)
        refuse_large((texts[0].count("\n") + 1) * width, most)
    elif name == "translate" and texts:
        maps = [each for each in given if isinstance(each, dict)]
        refuse_large(len(texts[0]) * max((_size(to) for each in maps for to in each.values()), default=0), most)
    elif name == "format_map":
        refuse_arguments(
            "format", (*texts, *(to for each in given if isinstance(each, dict) for to in each.values())), most
        )


def _watched(items: Iterable[Any], most: int) -> Iterator[Any]:
    """Give the items of a sum; one of lists copies what it has for each of them."""
    size = 0
    for number, each in enumerate(items, 1):
        tick()
        size += _size(each)
        refuse_large(max(size, number * size // _COPIED_AT_ONCE), most)
        yield each


def refuse_large(size: int, most: int) -> None:
    """Raise TemplateLimitExceeded when a size is more than may be."""
    if size > most:
        raise TemplateLimitExceeded(limit="size")


def _bits(number: object) -> int:
    return number.bit_length() if isinstance(number, int) else 0


def _size(value: object) -> int:
    return len(value) if isinstance(value, (str, bytes, list, tuple)) else 0
