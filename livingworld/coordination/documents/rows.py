"""From rows to records."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from livingworld.coordination.documents.records import Document


def make_document(row: Row[Any]) -> Document:
    """Return the record that a row of the documents or of their versions makes."""
    return Document(
        key=row.key, json=row.json, version=row.version, created_at=row.created_at, updated_at=row.updated_at
    )
