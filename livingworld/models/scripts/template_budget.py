"""What one rendering may still spend, and what its values would be if they were written."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Final

from livingworld.errors import TemplateLimitExceeded
from livingworld.models.scripts.template_limits import TemplateLimits, refuse_large

#: The budget of the rendering that goes on here.
BUDGET: ContextVar[Budget] = ContextVar("budget of a template")
#: Bits of a number; more take long.
MOST_BITS: Final = 10_000
#: Lists in lists, and iterators of iterators.
_DEEPEST: Final = 200
#: What an item, a text that is an item, a measured list and an iterator take, about.
ITEM, TEXT_ITEM, _MEASURED, _ITERATOR = 16, 64, 64, 256
#: The text of a value whose parts are not known, and of a number.
_FOREIGN, _NUMBER = 100, 24
#: So few items are measured again as fast as they are found.
_FEW: Final = 4
_BITS_OF_A_DIGIT: Final = 3
_BETWEEN: Final = 4
_VIEWS: Final[list[type[Any]]] = [type({}.keys()), type({}.values()), type({}.items())]
_ROWS: Final[tuple[type[Any], ...]] = (list, tuple, set, frozenset, deque, *_VIEWS)
_COPIES: Final[tuple[type[Any], ...]] = (*_ROWS, dict)
#: Types of values that hold no others.
FLAT: Final = frozenset({str, int, float, bool, type(None)})


class Budget:
    """The time and the bytes of one rendering; what it measures once it knows."""

    __slots__ = ("_deadline", "_known", "_left", "limits")

    def __init__(self, limits: TemplateLimits) -> None:
        self.limits = limits
        self._deadline = time.monotonic() + limits.seconds
        self._left = limits.total
        #: By its identity: what was measured, so that it stays, its weight and how deep it is.
        self._known: dict[int, tuple[object, int, int]] = {}

    def tick(self) -> None:
        """Raise TemplateLimitExceeded when the time is over."""
        if time.monotonic() > self._deadline:
            raise TemplateLimitExceeded(limit="time")

    def spend(self, size: int) -> None:
        """Raise TemplateLimitExceeded when all values together have more than they may."""
        self._left -= size
        if self._left < 0:
            raise TemplateLimitExceeded(limit="total")

    def made(self, value: Any) -> Any:  # noqa: ANN401 - whatever a template makes
        """Return a new value, which is paid; an iterator pays for what it gives."""
        if isinstance(value, (str, bytes)):
            refuse_large(len(value), self.limits.output)
            self.spend(sys.getsizeof(value))
        elif isinstance(value, int):
            refuse_large(value.bit_length(), MOST_BITS)
        elif isinstance(value, _COPIES):
            refuse_large(len(value), self.limits.items)
            self.spend(ITEM * (len(value) + 1))
        else:
            return self.watched(value)
        return value

    def watched(self, value: Any) -> Any:  # noqa: ANN401 - whatever a template has
        """Return a value, or what pays for each item of an iterator; those of Jinja2 itself hold no new items."""
        of = type(value)
        if not hasattr(of, "__next__") or of is Watched or of.__module__.startswith("jinja2."):
            return value
        return Watched(self, value)

    def weight(self, value: object) -> int:
        """Return about how many letters a value has if it is written; raises when there are too many in lists."""
        return self._measured(value)[0]

    def written(self, value: object) -> int:
        """Return the weight of what becomes a text; raises when that is too long."""
        weight = len(value) if type(value) is str else self.weight(value)
        refuse_large(weight, self.limits.output)
        return weight

    def _measured(self, value: object) -> tuple[int, int]:
        if isinstance(value, str):
            return len(value) + _BETWEEN, 0
        if known := self._known.get(id(value)):
            return known[1], known[2]
        if (parts := _parts(value)) is None:
            return weight_alone(value), 0
        if isinstance(value, (list, tuple)) and len(value) <= _FEW and FLAT.issuperset(map(type, value)):
            return self._flat(value), 1
        self.tick()
        self._known[id(value)] = (value, 0, 0)  # for one that contains itself, which Python writes as [...]
        return self.nested(value, parts)

    def nested(self, value: object, parts: Iterable[Any]) -> tuple[int, int]:
        """Return the weight and the depth of what holds these parts; it is measured once."""
        self.spend(_MEASURED)
        weight, depth, most = _BETWEEN, 0, self.limits.weight
        for each in parts:
            if type(each) in FLAT:
                weight += len(each) + _BETWEEN if type(each) is str else weight_alone(each)
            else:
                more, below = self._measured(each)
                weight += more
                depth = max(depth, below)
            if weight > most:
                raise TemplateLimitExceeded(limit="size")
        if depth >= _DEEPEST:
            raise TemplateLimitExceeded(limit="depth")
        self._known[id(value)] = (value, weight, depth + 1)
        return weight, depth + 1

    @staticmethod
    def _flat(few: Iterable[Any]) -> int:
        weight = _BETWEEN
        for each in few:
            weight += len(each) + _BETWEEN if type(each) is str else weight_alone(each)
        return weight


class Watched:
    """An iterator of a template: each item costs time and bytes."""

    __slots__ = ("_budget", "_depth", "_each")

    def __init__(self, budget: Budget, items: Iterator[Any], *, depth: int = 0, new: bool = False) -> None:
        if depth > _DEEPEST:
            raise TemplateLimitExceeded(limit="depth")
        budget.spend(_ITERATOR)
        self._budget, self._depth = budget, depth
        self._each = _each(budget, items, new=new)

    def __iter__(self) -> Iterator[Any]:
        return self._each

    def __next__(self) -> Any:  # noqa: ANN401 - whatever it gives
        return next(self._each)

    def over(self, items: Iterator[Any], *, new: bool = False) -> Watched:
        """Return what watches an iterator that takes its items from this one."""
        return Watched(self._budget, items, depth=self._depth + 1, new=new)


def _each(budget: Budget, items: Iterator[Any], *, new: bool) -> Iterator[Any]:
    for item in items:
        budget.tick()
        budget.spend(ITEM)
        yield budget.made(item) if new else item


def weight_alone(value: object) -> int:
    """Return the weight of what holds no others, and is no text."""
    if isinstance(value, int):
        return value.bit_length() // _BITS_OF_A_DIGIT + _BETWEEN
    if isinstance(value, (float, type(None))):
        return _NUMBER
    return len(value) * _BETWEEN + _BETWEEN if isinstance(value, bytes) else _FOREIGN


def _parts(value: Any) -> Iterable[Any] | None:  # noqa: ANN401 - whatever a template has
    if isinstance(value, dict):
        return (*value, *value.values())
    if isinstance(value, _ROWS):
        rows: Iterable[Any] = value
        return rows
    if (fields := getattr(type(value), "__dataclass_fields__", None)) is not None:
        return [getattr(value, name, None) for name in fields]
    return None
