"""Statements keep to the walls that imports keep to: tables and functions of a room's own, and of rooms below it."""

from __future__ import annotations

import pytest

from livingworld.schema import metadata
from tests.support.statement_arrows import Use, all_uses, complaint, may_use, names, owners

#: By what is wrong: a file, and a statement of it.
WRONG = {
    "stories -> story/memories (memories)": ("story/stories/x.sql", "DELETE FROM livingworld.memories"),
    "stories -> story/memories (write_memories_v1)": (
        "story/stories/x.py",
        "SELECT livingworld.write_memories_v1($1, $2, 1, 0, 0, '[]')",
    ),
    "facts -> story/memories (memories)": (
        "story/facts/x.sql",
        "WITH m AS (SELECT FROM livingworld.memories) SELECT FROM livingworld.facts",
    ),
    "sessions -> coordination/actions (actions)": (
        "coordination/sessions/x.py",
        "UPDATE livingworld.sessions SET epoch = (SELECT count(*) FROM livingworld.actions)",
    ),
    "coordination/locks -> models/scripts (scripts)": ("coordination/locks/x.py", "LOCK TABLE livingworld.scripts"),
    "live -> story/stories (scenes)": (
        "live/x.py",
        "INSERT INTO livingworld.scenes SELECT FROM livingworld.live_events",
    ),
    "postgres -> story/worlds (worlds)": ("postgres/x.py", "TABLE livingworld.worlds"),
    "no room owns tales": ("story/stories/x.py", "SELECT FROM livingworld.tales"),
    "no room owns tell_v1": ("story/stories/x.py", "SELECT livingworld.tell_v1()"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_statement_that_crosses_a_wall_is_found(wrong: str) -> None:
    file, statement = WRONG[wrong]

    assert [found for name in names(statement) if (found := complaint(Use(file, name))) and wrong in found]


def test_a_table_is_not_looked_up_by_its_name() -> None:
    assert complaint(Use("story/turns/x.py", "metadata.tables['livingworld.turns']"))


def test_an_arrow_points_down_and_never_to_a_stranger() -> None:
    assert may_use("story/turns", "story/facts")
    assert may_use("story/turns", "coordination/locks")
    assert may_use("demo", "story/stories")
    assert not may_use("story/facts", "story/turns")
    assert not may_use("story/facts", "story/memories")
    assert not may_use("coordination/actions", "coordination/locks")
    assert not may_use("models/scripts", "coordination/locks")


@pytest.mark.parametrize(
    ("room", "kind", "name"),
    [
        ("story/turns", ".sql", "write_facts_v1"),  # in a function
        ("story/relationships", ".sql", "relationship_changes"),  # the row that one returns
        ("story/memories", ".sql", "memory_vectors"),  # in a statement
        ("live", ".py", "publish_events_v1"),  # in text
        ("story/facts", ".py", "path_ranges_v1"),  # in text that is put together
        ("coordination/documents", ".py", "publish_events_v1"),  # func.livingworld...
        ("app", ".py", "stories"),  # an expression with a table that is imported
        ("story/turns", ".py", "branches"),  # a foreign key, or an expression
    ],
)
def test_a_name_is_read_wherever_it_stands(room: str, kind: str, name: str) -> None:
    assert [use for use in all_uses() if use.room == room and use.name == name and use.file.endswith(kind)]


def test_every_table_and_every_statement_has_a_room() -> None:
    uses = all_uses()

    assert {table.name for table in metadata.tables.values()} <= owners().keys()
    assert {table.name for table in metadata.tables.values()} <= {use.name for use in uses}, (
        "the reader has missed a module"
    )
    assert {name for name in owners() if name.endswith("_v1")} <= {use.name for use in uses}, (
        "a function is called nowhere"
    )


def test_every_statement_of_the_package_keeps_to_its_walls() -> None:
    assert sorted({found for use in all_uses() if (found := complaint(use))}) == []
