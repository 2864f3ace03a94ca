"""Facts, made of the rows that hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from livingworld.identifiers import parse_id
from livingworld.read_only import read_only
from livingworld.story.characters.references import Subject
from livingworld.story.facts.new_facts import WORD
from livingworld.story.facts.records import Fact
from livingworld.story.stories.coordinates import Place


def make_fact(row: Row[Any]) -> Fact:
    """Return the record that a row of the table facts makes, whose value is JSON text."""
    return Fact(
        **_subject(row),
        attribute=row.attribute,
        value=None if row.value is None else read_only(json.loads(row.value)),
        version=row.version,
        scene_number=row.scene_number,
        retracted=row.value is None,
        created_at=row.created_at,
    )


def written_fact(given: Mapping[str, Any], place: Place, stored: Row[Any]) -> Fact:
    """Return the record of a fact as write_facts_v1 took it, at its place, with what that returned."""
    return Fact(
        **_subject(stored),
        attribute=given["attribute"],
        value=read_only(given.get("value")),
        version=stored.version,
        scene_number=place.scene_number,
        retracted="value" not in given,
        created_at=stored.created_at,
    )


def _subject(row: Row[Any]) -> dict[str, Any]:
    if row.subject.startswith(WORD):
        return {"subject": Subject(row.name), "character": None}
    return {"subject": row.name, "character": parse_id(row.subject)}
