"""The keys of an imported entry: words, or regular expressions, or both in one entry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from livingworld.errors import InvalidInput
from livingworld.story.lore.regular_expressions import compile_key

#: A key between slashes is a regular expression in SillyTavern.
_BETWEEN_SLASHES: Final = re.compile(r"/(?P<pattern>.+)/(?P<flags>[a-z]*)", re.DOTALL)
#: Flags of JavaScript that mean the same to RE2; `g`, `u` and `y` change nothing in a search.
_FLAGS: Final = frozenset("ims")
#: RE2's own \b knows ASCII only.
_WORD_BEGINS, _WORD_ENDS = r"(?:^|[^\pL\pN_])", r"(?:$|[^\pL\pN_])"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of an entry as they are written."""

    primary: list[str]
    secondary: list[str]


def read_keys(keys: Keys, *, regex: bool, case_sensitive: bool, whole_words: bool) -> dict[str, Any] | InvalidInput:
    """Return the fields of NewLoreEntry for the keys, or the error of one that RE2 cannot search.

    An entry has keys of one sort, so words beside a regular expression become expressions that find the same.
    """
    written = (*keys.primary, *keys.secondary)
    if not regex and not any(_BETWEEN_SLASHES.fullmatch(key) for key in written):
        plain = {"case_sensitive": case_sensitive, "whole_words": whole_words}
        return {"keys": keys.primary, "secondary_keys": keys.secondary, **plain}

    def expression(key: str) -> str:
        if (between := _BETWEEN_SLASHES.fullmatch(key)) is not None:
            flags = "".join(sorted(_FLAGS & set(between["flags"])))
            return f"(?{flags}){between['pattern']}" if flags else between["pattern"]
        pattern = key if regex else re.escape(key)
        if whole_words and not regex:
            pattern = f"{_WORD_BEGINS}{pattern}{_WORD_ENDS}"
        return pattern if case_sensitive or regex else f"(?i){pattern}"

    primary, secondary = ([expression(key) for key in each] for each in (keys.primary, keys.secondary))
    try:
        for key in (*primary, *secondary):
            compile_key("keys", key, case_sensitive=True)
    except InvalidInput as error:
        return error
    return {"keys": primary, "secondary_keys": secondary, "regex": True, "case_sensitive": True}
