"""The name of a statement: its verb and what it names of ours, and nothing else, since its values may be story text."""

from __future__ import annotations

import re
from typing import Final

from livingworld.postgres.metadata import SCHEMA

_VERB: Final = re.compile(r"\s*(?:--[^\n]*\n\s*)*([A-Za-z]+)")
_OURS: Final = re.compile(rf"\b(?:{SCHEMA}\.(?P<ours>\w+)|(?P<lock>pg_(?:try_)?advisory\w+))")
#: More names tell no more about a statement.
_MOST_NAMES: Final = 3


def statement_name(text: str) -> str | None:
    """Return the verb of a statement with the first tables and functions of ours that it names; None for none."""
    verb = _VERB.match(text)
    return None if verb is None else " ".join([verb[1].upper(), *names_in(text)])


def names_in(text: str) -> list[str]:
    """Return the first tables and functions of ours in a text, and functions of advisory locks, each once."""
    return list(dict.fromkeys(found["ours"] or found["lock"] for found in _OURS.finditer(text)))[:_MOST_NAMES]
