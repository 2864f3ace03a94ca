"""Rows of lore, and the records that they become."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from livingworld.read_only import read_only
from livingworld.story.lore.records import LoreEntry


def make_entry(row: Row[Any]) -> LoreEntry:
    """Return the record that a row of the table lore_entries makes."""
    return _entry(row, row._mapping["keys"], row.raw)  # noqa: SLF001 - its public name


def make_called(row: Row[Any]) -> LoreEntry:
    """Return the record of a row in which the keys have another name than a row's method, and JSON is text."""
    return _entry(row, row.entry_keys, None if row.raw is None else json.loads(row.raw))


def _entry(row: Row[Any], keys: Sequence[str], raw: Mapping[str, Any] | None) -> LoreEntry:
    return LoreEntry(
        id=UUID(int=row.lore_id.int),
        book=row.book,
        position=row.position,
        title=row.title,
        content=row.content,
        keys=tuple(keys),
        case_sensitive=row.case_sensitive,
        enabled=row.enabled,
        whole_words=row.whole_words,
        regex=row.regex,
        secondary_keys=tuple(row.secondary_keys),
        secondary_logic=row.secondary_logic,
        constant=row.constant,
        scan_depth=row.scan_depth,
        exclude_recursion=row.exclude_recursion,
        prevent_recursion=row.prevent_recursion,
        raw=read_only(raw),
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
