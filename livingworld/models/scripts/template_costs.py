"""What an operation, a method or a filter would make or take, refused before it does."""

from __future__ import annotations

import re
from collections.abc import Callable
from string import Formatter
from typing import Any, Final

from livingworld.models.scripts.template_budget import MOST_BITS, Budget
from livingworld.models.scripts.template_limits import refuse_large

#: A field of `%`: its name, its width, its precision.
_FIELD: Final = re.compile(r"%(?:\(([^)]*)\))?[-+ #0]*(\d+|\*)?(?:\.(\d+|\*))?")
_NUMBER: Final = re.compile(r"\d+")
#: The name that a field of `format` begins with.
_ROOT: Final = re.compile(r"\w*")
#: A letter of the longest text stands for so many comparisons of letters.
_STEPS_OF_A_LETTER: Final = 100
#: More digits behind the point take long.
_MOST_DIGITS: Final = 400
#: What looks for each letter, or each beginning, of one text in another.
_PRODUCTS: Final = {"strip", "lstrip", "rstrip", "trim", "rfind", "rindex", "rsplit", "rpartition"}
_SLOW_CODECS: Final = {"punycode", "idna"}
_TEXTS: Final = (str, bytes)
_ROWS: Final = (str, bytes, list, tuple)

Given = tuple[Any, ...]


def refuse_operation(budget: Budget, operator: str, left: Any, right: Any) -> None:  # noqa: ANN401 - as Jinja2 has it
    """Raise TemplateLimitExceeded when the result of an operation would be too large."""
    most = budget.limits.output
    if operator == "**":
        refuse_large(_bits(left) * right if isinstance(right, int) else 0, MOST_BITS)
    elif operator == "%" and isinstance(left, _TEXTS):
        refuse_percent(budget, left, right)
    elif operator == "+" and isinstance(left, _ROWS):
        refuse_large(len(left) + _size(right), most)
    elif operator == "*":
        for text, count in ((left, right), (right, left)):
            if isinstance(text, _ROWS) and isinstance(count, int):
                refuse_large(len(text) * count, most if isinstance(text, _TEXTS) else budget.limits.items)
        if isinstance(left, int) and isinstance(right, int):
            refuse_large(_bits(left) + _bits(right), MOST_BITS)


def refuse_percent(budget: Budget, text: Any, values: Any) -> None:  # noqa: ANN401 - a text or bytes, and what it shows
    """Refuse a text with `%` whose fields would be too long."""
    shown = values if isinstance(values, tuple) else (values,)
    fields = _FIELD.findall(text if isinstance(text, str) else text.decode("latin1"))
    size = sum(int(number[:9]) for _, *sizes in fields for number in sizes if number.isdigit())
    if any("*" in sizes for _, *sizes in fields):
        size += sum(each for each in shown if isinstance(each, int))
    if isinstance(values, dict):
        size += sum(budget.weight(values[name]) for name, *_ in fields if name in values)
    else:
        size += sum(map(budget.weight, shown))
    refuse_large(len(text) + size, budget.limits.output)


def refuse_format(budget: Budget, text: str, values: Given, named: dict[str, Any]) -> None:
    """Refuse a text with `{}` whose fields would be too long."""
    size = len(text) + sum(map(budget.weight, values)) if "{}" in text or "{:" in text or "{!" in text else len(text)
    shown = {**{str(number): each for number, each in enumerate(values)}, **named}
    numbers = sum(each for each in shown.values() if isinstance(each, int))
    for _, name, width, _ in Formatter().parse(text):
        size += sum(int(number[:9]) for number in _NUMBER.findall(width or ""))
        size += numbers if "{" in (width or "") else 0
        root = _ROOT.match(name or "")
        size += budget.weight(shown[root.group()]) if root and root.group() in shown else 0
    refuse_large(size, budget.limits.output)


def refuse_method(budget: Budget, name: str, of: Any, given: Given, named: dict[str, Any]) -> None:  # noqa: ANN401
    """Refuse a method of a text or a number that would make too much, or take too long."""
    if name == "format":
        refuse_format(budget, of, given, named)
    elif name == "format_map":
        refuse_format(budget, of, (), {str(key): value for each in given for key, value in each.items()})
    else:
        refuse_function(budget, name, (of, *given), named)


def refuse_function(budget: Budget, name: str, given: Given, named: dict[str, Any]) -> None:
    """Refuse a function of a text whose arguments ask for more than may be."""
    most = budget.limits.output
    for each in (*given, *named.values()):
        if isinstance(each, int):
            refuse_large(each, _MOST_DIGITS if name == "round" else most)
    if given and isinstance(given[0], _TEXTS) and (cost := _COSTS.get(name)):
        refuse_large(cost(*given, **named), most)


def refuse_join(budget: Budget, separator: object, items: list[Any]) -> None:
    """Refuse to join what would be too long together."""
    size = sum(map(budget.weight, items)) + len(items) * (_size(separator) - _size(""))
    refuse_large(size - 4 * len(items), budget.limits.output)


def _replaced(text: Any, old: Any = "", new: Any = "", *_: object, **__: object) -> int:  # noqa: ANN401 - as str.replace
    return (len(text) // max(_size(old), 1) + 1) * _size(new)


def _indented(text: Any, width: Any = 4, *_: object, **__: object) -> int:  # noqa: ANN401 - as the filter
    lines = 1 + len(text.splitlines())
    size: int = width if isinstance(width, int) else _size(width)
    return lines * size


def _translated(text: Any, table: Any = (), **_: object) -> int:  # noqa: ANN401 - as str.translate
    return len(text) * max((_size(to) for to in table.values()), default=0) if isinstance(table, dict) else 0


def _expanded(text: Any, tabsize: Any = 8, **_: object) -> int:  # noqa: ANN401 - as str.expandtabs
    tabs: int = text.count(b"\t" if isinstance(text, bytes) else "\t")
    return tabs * (tabsize if isinstance(tabsize, int) else 0)


def _product(text: Any, *others: object, **named: object) -> int:  # noqa: ANN401 - as str.strip
    return len(text) * max(map(_size, (*others, *named.values())), default=0) // _STEPS_OF_A_LETTER


def _long_words(text: Any, *_: object, **__: object) -> int:  # noqa: ANN401 - as the filter
    return max(map(len, text.split()), default=0) ** 2 // _STEPS_OF_A_LETTER


def _coded(text: Any, encoding: Any = "", *_: object, **__: object) -> int:  # noqa: ANN401 - as str.encode
    return len(text) ** 2 // _STEPS_OF_A_LETTER if str(encoding).lower() in _SLOW_CODECS else 0


#: What each makes, or takes, in letters; their parameters have the names of the function's own.
_COSTS: Final[dict[str, Callable[..., int]]] = {
    "replace": _replaced,
    "indent": _indented,
    "translate": _translated,
    "expandtabs": _expanded,
    "wordwrap": _long_words,
    "urlize": _long_words,
    "encode": _coded,
    "decode": _coded,
    **dict.fromkeys(_PRODUCTS, _product),
}


def _bits(number: object) -> int:
    return number.bit_length() if isinstance(number, int) else 0


def _size(value: object) -> int:
    return len(value) if isinstance(value, _ROWS) else 0
