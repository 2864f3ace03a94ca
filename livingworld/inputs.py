"""Checks that turn bad input into a named error before any SQL.

The limits and the list of what breaks text, JSON and numbers were measured against PostgreSQL:
docs/explanation/guarantees.md.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from itertools import islice
from typing import Any, Final
from uuid import UUID

from livingworld.errors import InvalidJson, InvalidNumber, InvalidText, InvalidType

#: Most characters of the text of a scene.
MAX_CONTENT_CHARACTERS: Final = 1_000_000
#: Most characters of a model's raw response.
MAX_RAW_RESPONSE_CHARACTERS: Final = 4_000_000
#: Most characters of a premise, a system prompt or another long description.
MAX_DESCRIPTION_CHARACTERS: Final = 100_000
#: Most characters of one choice.
MAX_CHOICE_CHARACTERS: Final = 10_000
#: Most characters of a name: a title, a label, a role, a request key.
MAX_LABEL_CHARACTERS: Final = 500
#: Most characters of a JSON value when written without spaces.
MAX_JSON_CHARACTERS: Final = 1_000_000
#: Deepest nesting of a JSON value: Python's own reader fails a few hundred levels further down.
MAX_JSON_DEPTH: Final = 64
#: Largest integer of a PostgreSQL `integer` column.
MAX_INTEGER: Final = 2**31 - 1
#: Longest time that a caller may name.
MAX_DURATION: Final = timedelta(days=36_500)
#: Shortest and longest time that something is held for without being renewed.
MIN_TTL: Final = timedelta(milliseconds=100)
MAX_TTL: Final = timedelta(days=1)


class Unchanged(Enum):
    """The type of UNCHANGED."""

    UNCHANGED = "unchanged"


#: As an argument of a change: the field stays as it is. None sets a field back to nothing, where it can be nothing.
UNCHANGED: Final = Unchanged.UNCHANGED

#: Unicode's Cc, Zl and Zp, and the format characters (Cf) that change what stands around them.
_NOT_IN_A_LABEL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u206f\ufff9-\ufffb]")
#: The same, and lone surrogates, which no stream can write.
_NOT_IN_A_LINE: Final = re.compile(f"{_NOT_IN_A_LABEL.pattern[:-1]}\\ud800-\\udfff]")
#: An embedding or an isolate of text in another direction, with its end.
_CLOSED_DIRECTION: Final = re.compile(
    "[\u202a\u202b][^\u202a-\u202e\u2066-\u2069]*\u202c|[\u2066-\u2068][^\u202a-\u202e\u2066-\u2069]*\u2069"
)
_canonical_encoder: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def check_text(field: str, value: object, *, limit: int = MAX_LABEL_CHARACTERS, empty: bool = True) -> str:
    """Return `value` as a plain text if a text column can hold it; a member of a StrEnum is its text."""
    if not isinstance(value, str):
        raise InvalidType(field, f"must be text, not {type(value).__name__}")
    text = str.__str__(value)  # the stored value, whatever a subclass displays
    if len(text) > limit:
        raise InvalidText(field, f"has {len(text)} characters; the limit is {limit}")
    if "\x00" in text:
        raise InvalidText(field, f"holds U+0000 at character {text.index(chr(0))}, which PostgreSQL cannot store")
    if not empty and not text.strip():
        raise InvalidText(field, "must not be empty")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError as error:
        reason = f"holds a lone surrogate at character {error.start}, which is not Unicode text"
    else:
        return text
    raise InvalidText(field, reason)


def check_optional_text(field: str, value: object, *, limit: int = MAX_LABEL_CHARACTERS) -> str | None:
    """Return `value` as a plain text if it is storable text, or None."""
    return None if value is None else check_text(field, value, limit=limit)


def check_label(field: str, value: object, *, limit: int = MAX_LABEL_CHARACTERS, empty: bool = False) -> str:
    """Return `value` as a plain text if it can be a name: not empty, one line, no character that alters its display.

    Refused are control characters (C0, DEL, C1), line and paragraph separators, direction overrides, direction changes
    that are not closed inside the name, deprecated format characters and annotations. Joiners, direction marks, soft
    hyphens and the tags of flags stay: scripts and emoji need them.
    """
    text = check_text(field, value, limit=limit, empty=empty)
    if (found := _NOT_IN_A_LABEL.search(text)) is not None:
        found = _NOT_IN_A_LABEL.search(_without_closed_directions(text))
    if found is not None:
        reason = f"holds the control character U+{ord(found[0]):04X} at character {found.start()}; a name is one line"
        raise InvalidText(field, reason)
    return text


def _without_closed_directions(text: str) -> str:
    """Return the text at its length, with closed direction changes replaced by spaces, the inner ones first."""
    former = ""
    while former != text:
        former, text = text, _CLOSED_DIRECTION.sub(lambda pair: f" {pair[0][1:-1]} ", text)
    return text


def check_optional_label(field: str, value: object) -> str | None:
    """Return `value` as a plain text if it can be a name or is empty, or None."""
    return None if value is None else check_label(field, value, empty=True)


def check_key(field: str, value: object) -> str:
    """Return `value` as a plain text if it can be an application's own key: a label, compared as it is written."""
    return check_label(field, value)


def check_integer(field: str, value: object, *, minimum: int = 0, maximum: int = MAX_INTEGER) -> int:
    """Return `value` as a plain integer within the range; a bool and a member of an enum are refused."""
    if not isinstance(value, int) or isinstance(value, bool | Enum):
        raise InvalidType(field, f"must be an integer, not {type(value).__name__}")
    number = int.__int__(value)
    if not minimum <= number <= maximum:
        raise InvalidNumber(field, f"must be from {minimum} to {maximum}")
    return number


def check_optional_integer(field: str, value: object, *, minimum: int = 0) -> int | None:
    """Return `value` as a plain integer of at least `minimum`, or None."""
    return None if value is None else check_integer(field, value, minimum=minimum)


def check_number(field: str, value: object, *, minimum: float, maximum: float) -> float:
    """Return `value` as a plain float if it is a finite number within the range; see `check_integer`."""
    if not isinstance(value, int | float) or isinstance(value, bool | Enum):
        raise InvalidType(field, f"must be a number, not {type(value).__name__}")
    # An integer may be too large for a float: compared first, it is not converted. NaN compares as false.
    if minimum <= value <= maximum and math.isfinite(value):
        return int.__float__(value) if isinstance(value, int) else float.__float__(value)
    raise InvalidNumber(field, f"must be a finite number from {minimum} to {maximum}")


def check_duration(
    field: str, value: object, *, minimum: timedelta = timedelta(0), maximum: timedelta = MAX_DURATION
) -> timedelta:
    """Return `value` unchanged if it is a length of time within the range."""
    if not isinstance(value, timedelta):
        raise InvalidType(field, f"must be a timedelta, not {type(value).__name__}")
    if not minimum <= value <= maximum:
        raise InvalidNumber(field, f"must be from {minimum} to {maximum}")
    return value


def check_uuid(field: str, value: object) -> UUID:
    """Return `value` as a plain UUID; text is refused, which reveals a wrong variable."""
    if not isinstance(value, UUID):
        raise InvalidType(field, f"must be a UUID, not {type(value).__name__}")
    return UUID(int=value.int)


def check_sequence(field: str, value: object, *, limit: int) -> Sequence[Any]:
    """Return `value` unchanged if it is a list or tuple of at most `limit` items."""
    if not isinstance(value, list | tuple):
        raise InvalidType(field, f"must be a list or tuple, not {type(value).__name__}")
    if len(value) > limit:
        raise InvalidNumber(field, f"has {len(value)} items; the limit is {limit}")
    return value


def check_iterable(field: str, value: object, *, limit: int) -> list[Any]:
    """Return the items of `value`, at most `limit`; a text, bytes or a mapping is refused."""
    if not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping):
        raise InvalidType(field, f"must be several, not one {type(value).__name__}")
    items = list(islice(value, limit + 1))  # it may have no end
    if len(items) > limit:
        raise InvalidNumber(field, f"has more than {limit} items")
    return items


def check_changes(checks: Mapping[str, Callable[[str, Any], object]], given: Mapping[str, object]) -> dict[str, Any]:
    """Return the fields that are given, each as its check returns it; what is UNCHANGED is left out."""
    return {name: checks[name](name, value) for name, value in given.items() if value is not UNCHANGED}


def check_boolean(field: str, value: object) -> bool:
    """Return `value` unchanged if it is True or False."""
    if not isinstance(value, bool):
        raise InvalidType(field, f"must be True or False, not {type(value).__name__}")
    return value


def check_function(field: str, value: object) -> None:
    """Raise InvalidType for a value that cannot be called."""
    if not callable(value):
        raise InvalidType(field, f"must be a function, not {type(value).__name__}")


def check_json_object(field: str, value: object) -> dict[str, Any]:
    """Return a plain copy of `value` if it is an object that jsonb stores and gives back."""
    if not isinstance(value, Mapping):
        raise InvalidType(field, f"must be a JSON object, not {type(value).__name__}")
    if not value:
        return {}
    plain: dict[str, Any] = check_json(field, value)
    return plain


def check_json(field: str, value: object) -> Any:  # noqa: ANN401 - a JSON value has no finite type
    """Return a plain copy of `value` (tuples as lists) if jsonb stores it and gives the same back."""
    plain = _plain_json(field, value, depth=1)
    size = len(canonical_json(plain))
    if size > MAX_JSON_CHARACTERS:
        raise InvalidJson(field, f"has {size} characters as JSON; the limit is {MAX_JSON_CHARACTERS}")
    return plain


def canonical_json(value: object) -> str:
    """Return the one spelling of a JSON value: sorted keys, no spaces, no NaN."""
    return _canonical_encoder.encode(value)


def _plain_json(field: str, value: object, *, depth: int) -> object:
    if depth > MAX_JSON_DEPTH:
        raise InvalidJson(field, f"nests deeper than {MAX_JSON_DEPTH} levels")
    match value:
        case None | bool():
            return value
        case str():
            return check_text(field, value, limit=MAX_JSON_CHARACTERS)
        case int():
            return check_integer(field, value, minimum=-(2**63), maximum=2**63 - 1)
        case float():
            if not math.isfinite(value):
                raise InvalidNumber(field, "must be finite: JSON has no NaN and no Infinity")
            return float.__float__(value)
        case Mapping():
            return {
                _json_key(field, key): _plain_json(f"{field}.(value)", item, depth=depth + 1)
                for key, item in value.items()
            }
        case list() | tuple():
            return [_plain_json(f"{field}[{index}]", item, depth=depth + 1) for index, item in enumerate(value)]
    raise InvalidType(field, f"holds a {type(value).__name__}, which is not JSON")


def _json_key(field: str, key: object) -> str:
    if not isinstance(key, str):
        raise InvalidType(field, f"has a key of type {type(key).__name__}; JSON keys are text")
    return check_text(f"{field} (a key)", key)


def storable_error_text(error: BaseException | str, *, limit: int = MAX_DESCRIPTION_CHARACTERS) -> str:
    """Return an error, or a reason that is text already, as text that a column can hold, cut to `limit` characters.

    What PostgreSQL cannot store is replaced: U+0000 by U+FFFD, a lone surrogate by a question mark.
    """
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return text[:limit].replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def one_line(text: str) -> str:
    """Return a text as it may stand in a line of a log or a terminal.

    What would begin a line, move the cursor or turn the direction of the text is written as an escape.
    """
    return text if text.isprintable() else _NOT_IN_A_LINE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
