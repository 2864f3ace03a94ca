from __future__ import annotations

import re
from pathlib import Path

import pytest
from render_sql import function_sources
from sqlalchemy import ForeignKeyConstraint, PrimaryKeyConstraint, Table, UniqueConstraint

from livingworld.schema import metadata
from tests.support.distribution_rules import broken_rules, statements_of_function

OURS = re.compile(r"livingworld\.\w+")
#: Keys that find a world, whose id is not known yet.
OF_THE_DATABASE = {"uq_worlds_key", "uq_worlds_request_key"}
TABLES = list(metadata.tables.values())
BAD = {
    "SELECT * FROM livingworld.scenes WHERE story_id = $1": "scenes without",
    "SELECT FROM livingworld.scenes s, livingworld.scene_cast c WHERE s.world_id = $1 AND c.story_id = $2": "cast",
    "SELECT (SELECT count(*) FROM livingworld.scenes) FROM livingworld.stories WHERE world_id = $1": "scenes without",
    "UPDATE livingworld.stories SET title = 'x' WHERE story_id = $1": "stories without",
    "DELETE FROM livingworld.scene_cast USING livingworld.scenes s WHERE s.world_id = $1": "scene_cast without",
    "UPDATE livingworld.stories SET updated_at = clock_timestamp() WHERE world_id = $1": "clock_timestamp",
    "INSERT INTO livingworld.worlds VALUES ($1) ON CONFLICT (world_id) DO UPDATE SET name = random()::text": "random",
    "INSERT INTO livingworld.scene_cast SELECT * FROM livingworld.scene_cast": "scene_cast without",
    "MERGE INTO livingworld.worlds w USING livingworld.worlds v ON w = v WHEN MATCHED THEN DELETE": "Merge",
}
GOOD = [
    "SELECT * FROM livingworld.scenes s JOIN livingworld.scene_cast c ON c.world_id = s.world_id WHERE s.world_id = $1",
    "UPDATE livingworld.stories SET updated_at = now() WHERE stories.world_id = $1",
    "INSERT INTO livingworld.worlds (world_id) VALUES ($1)",
    "SELECT * FROM public.scenes",
]


@pytest.mark.parametrize("statement", BAD)
def test_a_statement_that_leaves_its_shard_is_found(statement: str) -> None:
    assert any(BAD[statement] in rule for rule in broken_rules(statement))


@pytest.mark.parametrize("statement", GOOD)
def test_a_statement_that_stays_is_not(statement: str) -> None:
    assert broken_rules(statement) == []


@pytest.mark.parametrize("function", function_sources(), ids=lambda path: path.stem)
def test_a_function_stays_on_its_shard(function: Path) -> None:
    source = re.sub(r"--.*|(CREATE FUNCTION|RETURNS SETOF) livingworld\.\w+", "", function.read_text())
    statements = statements_of_function(function.read_text())

    assert set(OURS.findall(" ".join(statements))) == set(OURS.findall(source)), "the reader has missed a statement"
    assert {statement: rules for statement in statements if (rules := broken_rules(statement))} == {}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_world_leads_every_key(table: Table) -> None:
    for constraint in table.constraints:
        if isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint):
            assert next(iter(constraint.columns)).name == "world_id", constraint.name
        if isinstance(constraint, ForeignKeyConstraint):
            assert constraint.column_keys[0] == "world_id", constraint.name
            assert constraint.elements[0].target_fullname.endswith(".world_id"), constraint.name
    for index in table.indexes:
        if index.unique and index.name not in OF_THE_DATABASE:
            assert next(iter(index.columns)).name == "world_id", index.name


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_no_column_takes_its_value_from_a_sequence(table: Table) -> None:
    assert not any(column.identity or column.autoincrement is True for column in table.columns)
    assert not any("nextval" in str(getattr(column.server_default, "arg", "")) for column in table.columns)
