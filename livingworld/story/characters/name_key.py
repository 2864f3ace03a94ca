"""When two names are the same name: one canonical key, computed here and nowhere else."""

from __future__ import annotations

import unicodedata
from typing import Final

from livingworld.errors import InvalidName
from livingworld.inputs import check_label

#: Maximum length of a name as written.
MAX_NAME_CHARACTERS: Final = 200
#: Maximum length of its key, which can be longer than the name (one ligature can be 18 letters); keeps the index
#: entry under 2,704 bytes.
MAX_KEY_CHARACTERS: Final = 400


def check_name(field: str, value: object) -> str:
    """Return a name as it is shown: spaces trimmed; raise InvalidText or InvalidName when it cannot be one."""
    name = check_label(field, value, limit=MAX_NAME_CHARACTERS).strip()
    key = name_key(name)
    if not key:
        raise InvalidName(field, "has no visible character")
    if len(key) > MAX_KEY_CHARACTERS:
        raise InvalidName(field, f"has {len(key)} characters in its canonical form; the limit is {MAX_KEY_CHARACTERS}")
    return name


def name_key(name: str) -> str:
    """Return the canonical key: NFKC, casefold, format characters removed, spaces collapsed.

    Look-alikes of other scripts (a Cyrillic letter that looks like an A) stay distinct, by choice: both may be right.
    """
    former = name
    while (key := _fold(former)) != former:  # casefolding can leave what NFKC changes: fold until nothing changes
        former = key
    return key


def _fold(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    visible = "".join(character for character in folded if unicodedata.category(character) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", visible).split())
