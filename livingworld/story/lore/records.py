"""The inputs and records of lore."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal, get_args
from uuid import UUID

from livingworld import inputs
from livingworld.errors import InvalidInput
from livingworld.story.lore.regular_expressions import compile_key

#: What has to be so of the secondary keys: some occur, all occur, none occurs, not all occur.
SecondaryLogic = Literal["and_any", "and_all", "not_any", "not_all"]
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
    #: Whether a key matches only where no word continues across its ends; a regular expression says so itself.
    whole_words: bool = field(default=True, kw_only=True)
    #: Whether all its keys are regular expressions, of RE2: without look-around and back-references.
    regex: bool = field(default=False, kw_only=True)
    #: Where one of `keys` occurs, these are looked for too; none: that is enough.
    secondary_keys: Sequence[str] = field(default=(), kw_only=True)
    #: Which of the secondary keys must occur, or must not: any of them, or all.
    secondary_logic: SecondaryLogic = field(default="and_any", kw_only=True)
    #: Whether it matches every text.
    constant: bool = field(default=False, kw_only=True)
    #: In how many of the last texts its keys are looked for; None: in all.
    scan_depth: int | None = field(default=None, kw_only=True)
    #: Whether the contents of other entries do not call it.
    exclude_recursion: bool = field(default=False, kw_only=True)
    #: Whether its content calls no other entry.
    prevent_recursion: bool = field(default=False, kw_only=True)
    #: The record that it was imported from, a JSON object that is stored unchanged.
    raw: Mapping[str, Any] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        checked = check_fields({name: getattr(self, name) for name in EDITABLE})
        object.__setattr__(self, "keys", tuple(checked["keys"]))
        object.__setattr__(self, "secondary_keys", tuple(checked["secondary_keys"]))
        check_expressions(checked)
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
    whole_words: bool
    regex: bool
    secondary_keys: tuple[str, ...]
    secondary_logic: SecondaryLogic
    constant: bool
    scan_depth: int | None
    exclude_recursion: bool
    prevent_recursion: bool
    #: The record that it was imported from, unchanged, or None.
    raw: Mapping[str, Any] | None
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LoreMatch:
    """An entry that is called, with a key that occurs."""

    entry: LoreEntry
    #: Its longest key that occurs; None: it matches every text.
    key: str | None
    #: 0: the given texts call it; 1: the content of an entry that they call; and so on.
    depth: int = 0


#: The fields that can be edited; a revision has them.
EDITABLE: Final = (
    *("book", "position", "title", "content", "keys", "case_sensitive", "enabled", "whole_words", "regex"),
    *("secondary_keys", "secondary_logic", "constant", "scan_depth", "exclude_recursion", "prevent_recursion"),
)


def check_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given fields of an entry, each checked."""
    return {name: _CHECKS[name](value) for name, value in given.items()}


def check_expressions(entry: Mapping[str, Any]) -> None:
    """Raise InvalidInput for a key that is no regular expression of linear time, MissingPackage without the extra."""
    if entry["regex"]:
        for name in ("keys", "secondary_keys"):
            for index, key in enumerate(entry[name]):
                compile_key(f"{name}[{index}]", key, case_sensitive=entry["case_sensitive"])


def _check_keys(name: str, keys: object) -> list[str]:
    given = inputs.check_sequence(name, keys, limit=MAX_KEYS)
    return [inputs.check_text(f"{name}[{index}]", key, empty=False) for index, key in enumerate(given)]


def _check_logic(logic: object) -> str:
    if logic not in get_args(SecondaryLogic):
        raise InvalidInput("secondary_logic", f"must be one of {', '.join(get_args(SecondaryLogic))}")
    return str(logic)


def _check_depth(depth: object) -> int | None:
    return None if depth is None else inputs.check_integer("scan_depth", depth, minimum=1)


_CHECKS: Final[dict[str, Callable[[object], Any]]] = {
    "book": lambda value: inputs.check_label("book", value),
    "position": lambda value: inputs.check_integer("position", value, minimum=-inputs.MAX_INTEGER),
    "title": lambda value: inputs.check_label("title", value, empty=True),
    "content": lambda value: inputs.check_text("content", value, limit=inputs.MAX_DESCRIPTION_CHARACTERS),
    "keys": partial(_check_keys, "keys"),
    "secondary_keys": partial(_check_keys, "secondary_keys"),
    "secondary_logic": _check_logic,
    "scan_depth": _check_depth,
    **{
        name: partial(inputs.check_boolean, name)
        for name in ("case_sensitive", "enabled", "whole_words", "regex", "constant")
    },
    **{name: partial(inputs.check_boolean, name) for name in ("exclude_recursion", "prevent_recursion")},
}
