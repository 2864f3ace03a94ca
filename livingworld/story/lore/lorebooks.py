"""Lorebooks of other programs: the `character_book` of a character card (V2, V3), and world info of SillyTavern.

Field names and defaults are those of the Character Card V2 and V3 specifications and of SillyTavern's own files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from livingworld import inputs
from livingworld.errors import InvalidInput, InvalidType
from livingworld.story.lore.lorebook_keys import Keys, read_keys
from livingworld.story.lore.records import NewLoreEntry, SecondaryLogic

#: Maximum number of entries of one lorebook.
MAX_LOREBOOK_ENTRIES: Final = 10_000
#: By SillyTavern's number of `selectiveLogic`.
_LOGICS: Final[tuple[SecondaryLogic, ...]] = ("and_any", "not_all", "not_any", "and_all")
_ALWAYS: Final = 100
#: Rules that are no rule of a match here: the names of each, and whether a value asks for something.
_UNSUPPORTED: Final[tuple[tuple[tuple[str, ...], Callable[[Any], bool]], ...]] = (
    (("probability",), lambda percent: percent not in {None, _ALWAYS}),
    (("group",), bool),
    (("sticky",), bool),
    (("cooldown",), bool),
    (("delay",), bool),
    (("delayUntilRecursion", "delay_until_recursion"), bool),
    (("vectorized",), bool),
    (("characterFilter", "character_filter"), bool),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsupportedLore:
    """What a lorebook asks of an entry and is not done; the entry's `raw` keeps it."""

    #: The place of the entry in the lorebook, from 0.
    index: int
    title: str
    #: The field of the lorebook.
    field: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lorebook:
    """The entries of a lorebook, ready for `lore.add_many`, 1,000 at a time."""

    #: Its own name, or "".
    name: str
    entries: tuple[NewLoreEntry, ...]
    #: Whether contents call other entries: for `lore.match(recursion=...)`.
    recursive: bool
    unsupported: tuple[UnsupportedLore, ...]


class _Fields:
    """The fields of one entry, those of its `extensions` below its own; None stands for a field that it lacks."""

    def __init__(self, field: str, entry: object) -> None:
        self.field = field
        self.raw = inputs.check_json_object(field, entry)
        extensions = self.raw.get("extensions")
        self._all = {**(extensions if isinstance(extensions, Mapping) else {}), **self.raw}

    def get(self, *names: str) -> Any:  # noqa: ANN401 - a JSON value
        return next((self._all[name] for name in names if self._all.get(name) is not None), None)

    def flag(self, *names: str, default: bool = False) -> bool:
        value = self.get(*names)
        return default if value is None else inputs.check_boolean(f"{self.field}.{names[0]}", value)

    def texts(self, *names: str) -> list[str]:
        field = f"{self.field}.{names[0]}"
        given = inputs.check_sequence(field, self.get(*names) or [], limit=inputs.MAX_INTEGER)
        texts = [inputs.check_text(f"{field}[{index}]", text) for index, text in enumerate(given)]
        return [text for text in texts if text.strip()]

    def title(self) -> str:
        name = self.get("name", "comment") or ""
        text = " ".join(inputs.check_text(f"{self.field}.name", name, limit=inputs.MAX_CONTENT_CHARACTERS).split())
        return text[: inputs.MAX_LABEL_CHARACTERS]


def read_lorebook(lorebook: Mapping[str, Any], *, book: str = "lore", whole_words: bool = False) -> Lorebook:
    """Return the entries of a lorebook as entries of `book`, and what of it is not done.

    `lorebook` is the `character_book` of a card, or a file of world info, as JSON. `whole_words` is what holds for the
    keys of an entry that does not say it. An entry whose keys cannot be matched comes disabled and without them; each
    rule that is not applied (probability, groups, timed effects, decorators) is in `unsupported`, and stays in the
    entry's `raw`. Where a text stands in the prompt is the application's. Raises InvalidInput, naming the field, for
    what is no lorebook; MissingPackage for keys that are regular expressions, without the extra `lore`.
    """
    if not isinstance(lorebook, Mapping):
        raise InvalidType("lorebook", f"must be a JSON object, not {type(lorebook).__name__}")
    named, words = inputs.check_label("book", book), inputs.check_boolean("whole_words", whole_words)
    depth = lorebook.get("scan_depth")
    made = [_read_entry(fields, named, depth, whole_words=words) for fields in _entries(lorebook)]
    unsupported = [
        UnsupportedLore(index=index, title=entry.title, field=field, reason=reason)
        for index, (entry, reasons) in enumerate(made)
        for field, reason in reasons.items()
    ]
    return Lorebook(
        name=inputs.check_text("lorebook.name", lorebook.get("name") or ""),
        entries=tuple(entry for entry, _ in made),
        recursive=inputs.check_boolean("lorebook.recursive_scanning", lorebook.get("recursive_scanning") or False),
        unsupported=tuple(unsupported),
    )


def _entries(lorebook: Mapping[str, Any]) -> Iterator[_Fields]:
    """Yield the entries of a list, or of an object by number."""
    found = lorebook.get("entries")
    listed = list(found.values()) if isinstance(found, Mapping) else found
    if not isinstance(listed, list):
        raise InvalidType("lorebook.entries", f"must be a list or an object, not {type(found).__name__}")
    for index, entry in enumerate(inputs.check_sequence("lorebook.entries", listed, limit=MAX_LOREBOOK_ENTRIES)):
        yield _Fields(f"lorebook.entries[{index}]", entry)


def _read_entry(fields: _Fields, book: str, depth: object, *, whole_words: bool) -> tuple[NewLoreEntry, dict[str, str]]:
    reasons = _not_done(fields)
    words = fields.flag("match_whole_words", "matchWholeWords", default=whole_words)
    case = fields.flag("case_sensitive", "caseSensitive")
    keys = Keys(fields.texts("keys", "key"), fields.texts("secondary_keys", "keysecondary"))
    if not fields.flag("selective", default=True):
        keys = Keys(keys.primary, [])
    read = read_keys(keys, regex=fields.flag("use_regex"), case_sensitive=case, whole_words=words)
    if isinstance(read, InvalidInput):
        reasons["keys"] = f"the entry is disabled and has no keys: {read.reason}"
    matched = {"enabled": False} if isinstance(read, InvalidInput) else read
    entry = {
        "book": book,
        "title": fields.title(),
        "position": fields.get("insertion_order", "order") or 0,
        "enabled": fields.flag("enabled", default=not fields.flag("disable")),
        "constant": fields.flag("constant"),
        "scan_depth": fields.get("scan_depth", "scanDepth") or depth or None,
        "exclude_recursion": fields.flag("exclude_recursion", "excludeRecursion"),
        "prevent_recursion": fields.flag("prevent_recursion", "preventRecursion"),
        "secondary_logic": _logic(fields),
        "raw": fields.raw,
        **matched,
    }
    try:
        return NewLoreEntry(fields.get("content") or "", **entry), reasons
    except InvalidInput as error:
        raise type(error)(f"{fields.field}.{error.field}", error.reason) from None


def _logic(fields: _Fields) -> SecondaryLogic:
    number = fields.get("selectiveLogic", "selective_logic") or 0
    return _LOGICS[inputs.check_integer(f"{fields.field}.selectiveLogic", number, maximum=len(_LOGICS) - 1)]


def _not_done(fields: _Fields) -> dict[str, str]:
    """Return the rules of an entry that are not applied, each with what is done in its place."""
    found = {names[0]: "is not applied" for names, asks in _UNSUPPORTED if asks(fields.get(*names))}
    if "probability" in found and not fields.flag("useProbability", "use_probability", default=True):
        del found["probability"]
    content = fields.get("content")
    if isinstance(content, str) and content.lstrip().startswith("@@"):
        found["content"] = "its decorators (@@) are text here"
    return found
