"""Filters and tests of Jinja2 that look at the budget of the rendering before they work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, Final

from jinja2 import Undefined
from jinja2.filters import make_attrgetter

from livingworld.models.scripts.template_budget import BUDGET, FLAT, TEXT_ITEM, Budget, Watched
from livingworld.models.scripts.template_costs import refuse_function, refuse_join, refuse_method, refuse_percent
from livingworld.models.scripts.template_limits import refuse_large

#: They hand on what is there, or look at one item: nothing becomes a text.
_HANDING_ON: Final = {
    "attr", "batch", "count", "d", "default", "first", "items", "last", "length", "list", "map", "random", "reject",
    "rejectattr", "reverse", "select", "selectattr", "slice",
}  # fmt: skip
#: They compare all items, or add or join them; where they are told which attribute of each.
_ATTRIBUTE: Final = {"dictsort": 9, "groupby": 1, "join": 2, "max": 2, "min": 2, "sort": 3, "sum": 1, "unique": 2}
#: They write what they are given before they work.
_WRITING: Final = {"replace", "trim", "urlize"}
#: They give a list or a tuple for each item.
_NEW_ROWS: Final = {"batch", "items", "slice"}
#: So many items of a list are copied as fast as one text is made.
_COPIED_AT_ONCE: Final = 100


def limited_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that refuses arguments and results that are too large."""
    first = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def limited(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the filter
        budget = BUDGET.get()
        budget.tick()
        given = (budget.watched(args[first]), *args[first + 1 :]) if len(args) > first else ()
        given, options = _allowed(budget, name, args[:first], given, options)
        refuse_function(budget, name, given, options)
        result = function(*args[:first], *given, **options)
        return _paid(budget, result, given, new=name in _NEW_ROWS)

    return limited


def limited_test(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a test that compares nothing for long."""

    @wraps(function)
    def limited(*args: Any) -> Any:  # noqa: ANN401 - as the test
        budget = BUDGET.get()
        budget.tick()
        for each in args:
            budget.weight(each)
        return function(*args)

    return limited


def allowed_method(
    budget: Budget,
    name: str,
    of: Any,  # noqa: ANN401 - a text, bytes or a number
    args: tuple[Any, ...],
    options: dict[str, Any],
) -> tuple[Any, ...]:
    """Return the arguments of a method when it makes nothing too large."""
    if name == "join" and args:
        items = list(budget.watched(iter(args[0])))
        refuse_join(budget, of, items)
        return (items, *args[1:])
    refuse_method(budget, name, of, args, options)
    return args


def _paid(budget: Budget, result: Any, given: tuple[Any, ...], *, new: bool) -> Any:  # noqa: ANN401 - as the filter
    for each in given:
        if result is each:
            return result
    source = given[0] if given else None
    if hasattr(type(result), "__next__"):
        return source.over(result, new=new) if type(source) is Watched else Watched(budget, result, new=new)
    if isinstance(source, str) and isinstance(result, (list, tuple)):
        budget.spend(len(source) + TEXT_ITEM * len(result))
    return budget.made(result)


def _allowed(
    budget: Budget, name: str, passed: tuple[Any, ...], given: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments when all that the filter reads of them is not too much."""
    if name in _HANDING_ON or not given:
        return given, options
    if name in _ATTRIBUTE:
        return _over_items(budget, name, passed, given, options)
    if name == "format":
        refuse_percent(budget, str(given[0]), options or given[1:])
    given = tuple(_as_text(budget, name, each) for each in given)
    return given, {key: _as_text(budget, name, each) for key, each in options.items()}


def _as_text(budget: Budget, name: str, value: Any) -> Any:  # noqa: ANN401 - an argument of a filter
    """Return a value that the filter would write, written where its length decides; raises when that is too long."""
    if type(value) in FLAT:
        return value
    budget.written(value)
    return str(value) if name in _WRITING and not isinstance(value, (str, Undefined)) else value


def _over_items(
    budget: Budget, name: str, passed: tuple[Any, ...], given: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a filter that reads all items of its first one, or an attribute of each."""
    place = _ATTRIBUTE[name]
    attribute = options.get("attribute", given[place] if len(given) > place else None)
    if name in ("join", "sum"):
        return _with_read(budget, name, _read(name, passed, given[0], attribute), given, options)
    items = given[0] if name == "dictsort" else list(given[0])
    budget.weight(items if attribute is None else list(_read(name, passed, items, attribute)))
    return (items, *given[1:]), options


def _with_read(
    budget: Budget, name: str, read: Iterable[Any], given: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a filter that gets the attributes that it would read."""
    if name == "sum":
        read = _summed(budget, read)
    else:
        read = list(read)
        refuse_join(budget, options.get("d", given[1] if len(given) > 1 else ""), read)
    after = (None if number == _ATTRIBUTE[name] else each for number, each in enumerate(given[1:], 1))
    return (read, *after), {key: value for key, value in options.items() if key != "attribute"}


def _read(name: str, passed: tuple[Any, ...], items: Iterable[Any], attribute: str | int | None) -> Iterable[Any]:
    """Give what a filter reads of each item."""
    if attribute is None:
        return items
    environment = getattr(passed[0], "environment", passed[0])
    paths = attribute.split(",") if name == "sort" and isinstance(attribute, str) else [attribute]
    if len(paths) == 1:
        return map(make_attrgetter(environment, attribute), items)
    getters = [make_attrgetter(environment, path) for path in paths]
    return (getter(each) for each in items for getter in getters)


def _summed(budget: Budget, items: Iterable[Any]) -> Iterator[Any]:
    """Give the items of a sum; one of lists copies what it has for each of them."""
    size = 0
    for number, each in enumerate(items, 1):
        budget.tick()
        size += len(each) if isinstance(each, (list, tuple)) else 0
        refuse_large(max(size, number * size // _COPIED_AT_ONCE), budget.limits.output)
        yield each
