"""What goes in: facts to set, checked and spelt as write_facts_v1 takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from livingworld.errors import InvalidText, InvalidType
from livingworld.inputs import check_json, check_label, check_sequence
from livingworld.story.characters.references import Subject, check_character

#: Most facts of one write.
MAX_FACTS: Final = 1000
#: Most bytes of a subject and an attribute together: both stand in one entry of an index, which has 2,704.
MAX_KEY_BYTES: Final = 2_600
#: As a value: the fact is retracted.
RETRACTED: Final = object()

#: Stands before a subject that is no character.
WORD: Final = "="


def check_subject(field: str, subject: object) -> str:
    """Return the subject as referred_subject_v1 takes it: a word, or a reference to a character."""
    if isinstance(subject, Subject):
        return WORD + check_label(field, subject)
    return check_character(field, subject)


def subject_references(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the references to characters among the subjects of facts."""
    return {row["subject"] for row in rows if not row["subject"].startswith(WORD)}


def fact_row(subject: UUID | str, attribute: str, value: object, *, field: str = "value") -> dict[str, Any]:
    """Return one fact as write_facts_v1 takes it."""
    key = {
        "subject": check_subject("subject", subject),
        "attribute": check_label("attribute", attribute),
    }
    if (size := sum(len(part.encode()) for part in key.values())) > MAX_KEY_BYTES:
        raise InvalidText("attribute", f"has {size} bytes together with its subject; the limit is {MAX_KEY_BYTES}")
    return key if value is RETRACTED else {**key, "value": check_json(field, value)}


def fact_rows(facts: Mapping[tuple[UUID | str, str], object]) -> list[dict[str, Any]]:
    """Return facts, given by (subject, attribute), as write_facts_v1 takes them; raises InvalidType for duplicates."""
    if not isinstance(facts, Mapping):
        raise InvalidType(
            "facts", f"must be a mapping from (subject, attribute) to a value, not {type(facts).__name__}"
        )
    check_sequence("facts", list(facts), limit=MAX_FACTS)
    rows = [_checked(key, value) for key, value in facts.items()]
    if len({(row["subject"], row["attribute"]) for row in rows}) < len(rows):
        raise InvalidType("facts", "names a fact twice, in two spellings")
    return rows


def _checked(key: object, value: object) -> dict[str, Any]:
    if not isinstance(key, tuple) or len(key) != len(("subject", "attribute")):
        raise InvalidType("facts", "has a key that is not a tuple of a subject and an attribute")
    return fact_row(key[0], key[1], value, field=f"facts[{key[0]!s:.40}, {key[1]!s:.40}]")
