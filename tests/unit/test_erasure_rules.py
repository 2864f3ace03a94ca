"""A column that can hold a text has a rule that says what becomes of it when a person is erased."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ARRAY, Boolean, Column, DateTime, Float, Integer, Interval, Uuid

from livingworld.erasure.rules import _COLUMNS, RULES, Rule
from livingworld.schema import metadata

#: Whatever holds a number, a time or an id holds no text.
WITHOUT_TEXT: Final = (Integer, Boolean, DateTime, Float, Interval, Uuid)


def can_hold_text(column: Column[object]) -> bool:
    """Return whether a column can hold a text, or the vector that was made of one."""
    if isinstance(column.type, ARRAY):
        return column.name == "vector" or not isinstance(column.type.item_type, WITHOUT_TEXT)
    return not isinstance(column.type, WITHOUT_TEXT)


def test_every_column_that_can_hold_a_text_has_a_rule() -> None:
    columns = {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if can_hold_text(column)
    }

    assert columns - RULES.keys() == set(), "say in erasure/rules.py whose text it is"
    assert RULES.keys() - columns == set()


def test_no_column_has_two_rules() -> None:
    stated = sum(len(line.partition(": ")[2].split()) for text in _COLUMNS.values() for line in text.splitlines())

    assert stated == len(RULES)
    assert set(RULES.values()) == set(Rule)
