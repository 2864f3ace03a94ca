"""The names by which statements are measured: few, and never a value."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, text

from livingworld.postgres.transactions.unit_meter import operation_name

pytestmark = pytest.mark.any_server


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("SELECT * FROM livingworld.take_turns_v1($1)", "take_turns"),
        ("-- why\n  UPDATE livingworld.scenes SET content = 'secret'", "UPDATE"),
        (text("SAVEPOINT livingworld"), "SAVEPOINT"),
        (text("SELECT livingworld.path_ranges_v1(:story)"), "path_ranges"),
        (select(func.now()), "SELECT"),
        ("", "OTHER"),
    ],
)
def test_a_statement_is_named_by_its_function_or_its_first_word(statement: object, name: str) -> None:
    assert operation_name(statement) == name
