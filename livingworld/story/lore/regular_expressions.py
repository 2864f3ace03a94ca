"""Keys that are regular expressions, by an engine whose time grows with the text and with nothing else."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, Final

from livingworld.errors import InvalidInput, MissingPackage

#: Bytes of one compiled expression; one that needs more is refused.
_MOST_MEMORY: Final = 1_000_000


def compile_key(field: str, key: str, *, case_sensitive: bool) -> Any:  # noqa: ANN401 - re2 has no types
    """Return a key, compiled; raises InvalidInput when RE2 cannot search it, and MissingPackage without RE2."""
    re2 = _engine()
    options = re2.Options()
    options.case_sensitive, options.max_mem, options.log_errors = case_sensitive, _MOST_MEMORY, False
    try:
        return re2.compile(key, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
    raise InvalidInput(field, f"is no regular expression that is searched in linear time: {reason}")


@cache
def _engine() -> Any:  # noqa: ANN401 - a module
    try:
        return import_module("re2")
    except ModuleNotFoundError:
        message = "regular expressions in lore need an extra: pip install 'livingworld[lore]'"
        raise MissingPackage(message) from None
