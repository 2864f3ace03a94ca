"""JSON values that come out: read-only all the way down, equal to plain ones, and written by json.dumps as they are."""

from __future__ import annotations

import copy
from typing import Any, Final, NoReturn

_REASON: Final = "What livingworld returns is read-only: change a copy.deepcopy() of it, and pass that to a call."


def _refuse(_: object, *__: object, **___: object) -> NoReturn:
    raise TypeError(_REASON)


class ReadOnlyDict(dict[str, Any]):
    """A JSON object that raises TypeError when it is changed."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return read_only, (dict(self),)

    def __copy__(self) -> dict[str, Any]:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return {key: copy.deepcopy(value, memo) for key, value in self.items()}


class ReadOnlyList(list[Any]):
    """A JSON array that raises TypeError when it is changed."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return read_only, (list(self),)

    def __copy__(self) -> list[Any]:
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return [copy.deepcopy(value, memo) for value in self]


_EMPTY: Final = ReadOnlyDict()


def read_only(value: Any) -> Any:  # noqa: ANN401 - a JSON value has no finite type
    """Return a JSON value whose objects and arrays cannot be changed; what is so already is returned as it is."""
    if type(value) is dict:
        return ReadOnlyDict({key: read_only(each) for key, each in value.items()}) if value else _EMPTY
    return ReadOnlyList(map(read_only, value)) if type(value) is list else value
