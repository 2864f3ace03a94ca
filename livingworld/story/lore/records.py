"""The inputs and records of lore."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from livingworld import inputs

#: Maximum number of keys of one entry.
MAX_KEYS: Final = 200


@dataclass(frozen=True, slots=True)
class NewLoreEntry:
    """An entry to add; raises InvalidInput, naming the field, when it could not be stored."""

    content: str
    #: Words and phrases that match it; see LoreRepository.match.
    keys: Sequence[str] = ()
    book: str = field(default="lore", kw_only=True)
    title: str = field(default="", kw_only=True)
    #: The order in the book; entries with equal positions are in the order of their creation.
    position: int = field(default=0, kw_only=True)
    enabled: bool = field(default=True, kw_only=True)
    #: Whether keys match only in this case.
    case_sensitive: bool = field(default=False, kw_only=True)
    #: The record that it was imported from, a JSON object that is stored unchanged.
    raw: Mapping[str, Any] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        checked = check_fields({name: getattr(self, name) for name in EDITABLE})
        object.__setattr__(self, "keys", tuple(checked["keys"]))
        if self.raw is not None:
            object.__setattr__(self, "raw", inputs.check_json_object("raw", self.raw))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoreEntry:
    """One entry of a world's lore."""

    id: UUID
    book: str
    position: int
    title: str
    content: str
    keys: tuple[str, ...]
    case_sensitive: bool
    enabled: bool
    #: The record that it was imported from, unchanged, or None.
    raw: Mapping[str, Any] | None
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LoreMatch:
    """An entry with a key that occurs in a text."""

    entry: LoreEntry
    #: Its longest key that occurs in the text.
    key: str


#: The fields that can be edited; a revision has them.
EDITABLE: Final = ("book", "position", "title", "content", "keys", "case_sensitive", "enabled")


def check_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given fields of an entry, each checked."""
    return {name: _CHECKS[name](value) for name, value in given.items()}


def _check_keys(keys: object) -> list[str]:
    given = inputs.check_sequence("keys", keys, limit=MAX_KEYS)
    return [inputs.check_text(f"keys[{index}]", key, empty=False) for index, key in enumerate(given)]


_CHECKS: Final[dict[str, Callable[[object], Any]]] = {
    "book": lambda value: inputs.check_label("book", value),
    "position": lambda value: inputs.check_integer("position", value, minimum=-inputs.MAX_INTEGER),
    "title": lambda value: inputs.check_label("title", value, empty=True),
    "content": lambda value: inputs.check_text("content", value, limit=inputs.MAX_DESCRIPTION_CHARACTERS),
    "keys": _check_keys,
    "case_sensitive": lambda value: inputs.check_boolean("case_sensitive", value),
    "enabled": lambda value: inputs.check_boolean("enabled", value),
}
