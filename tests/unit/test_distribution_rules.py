from __future__ import annotations

import re
from pathlib import Path

import pytest
from render_sql import function_sources
from sqlalchemy import ForeignKeyConstraint, PrimaryKeyConstraint, Table, UniqueConstraint

from livingworld.doctor.doctor import CHECKS
from livingworld.doctor.world_check import WorldCheck
from livingworld.schema import metadata
from tests.support.distribution_rules import broken_rules, statements_of_function, tables_in_assignments
from tests.support.planned_once import planned_at_each_call

OURS = re.compile(r"livingworld\.\w+")
#: Keys that find a world, whose id is not known yet.
OF_THE_DATABASE = {"uq_worlds_key", "uq_worlds_request_key"}
WORLD_CHECKS = [check for check in CHECKS.values() if isinstance(check, WorldCheck)]
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
    "SELECT FROM livingworld.stories s LEFT JOIN livingworld.branches b ON b.world_id = s.world_id"
    " WHERE s.world_id = $1": "branches without",
    "SELECT (SELECT count(*) FROM livingworld.scenes c WHERE c.world_id = s.world_id) FROM livingworld.stories s"
    " WHERE s.world_id = $1": "scenes without",
    "UPDATE livingworld.stories s SET title = in_titles[1] WHERE s.world_id = $1": "element of an array",
    "INSERT INTO livingworld.leases AS l VALUES ($1) ON CONFLICT (world_id) DO UPDATE SET expires_at = now()": "now()",
    "INSERT INTO livingworld.leases AS l VALUES ($1) ON CONFLICT (world_id) DO UPDATE SET token = 1"
    " WHERE l.expires_at <= now()": "now()",
    "UPDATE livingworld.tasks t SET token = 1 WHERE t.world_id = $1 AND t.heartbeat_at + t.dead_after < now()": (
        "a time and an interval"
    ),
    "UPDATE livingworld.tasks t SET ended_at = coalesce(t.ended_at, now()) WHERE t.world_id = $1": "COALESCE",
    "UPDATE livingworld.tasks t SET kind = to_json(t.kind) WHERE t.world_id = $1": "over a column",
    "UPDATE livingworld.presences p SET expires_at = statement_timestamp() + p.ttl WHERE p.world_id = $1": (
        "a time and an interval"
    ),
    "UPDATE livingworld.tasks t SET heartbeat_at = k.at FROM (SELECT now() + $2::interval * g.n AS at FROM g) AS k"
    " WHERE t.world_id = $1": "in FROM of a write",
    "UPDATE livingworld.turns t SET state = CASE in_why WHEN 'x' THEN 'y' ELSE 'z' END WHERE t.world_id = $1": (
        "CASE of a value"
    ),
    "WITH RECURSIVE w AS (SELECT 1) INSERT INTO livingworld.scenes (world_id) SELECT $1 FROM w": "a recursion before",
    "SELECT pg_advisory_xact_lock($1)": "one node only",
    "SELECT FROM livingworld.worlds w WHERE w.world_id = $1 FOR UPDATE": "the row of a world",
    "SELECT g.x, pg_try_advisory_xact_lock(g.x) FROM unnest($1) AS g (x)": "one node only",
    "MERGE INTO livingworld.worlds w USING livingworld.worlds v ON w = v WHEN MATCHED THEN DELETE": "Merge",
}
GOOD = [
    "SELECT * FROM livingworld.scenes s JOIN livingworld.scene_cast c ON c.world_id = $1 WHERE s.world_id = $1",
    "SELECT * FROM livingworld.scenes s WHERE s.world_id = in_world_id",
    "SELECT pg_advisory_xact_lock($1) FROM (SELECT count(*) FROM livingworld.request_keys k WHERE k.world_id = $2) p",
    "SELECT * FROM livingworld.worlds w WHERE w.key = $1",
    "SELECT FROM livingworld.worlds w, livingworld.leases l WHERE w.world_id = $1 AND l.world_id = $1 FOR UPDATE OF w",
    "UPDATE livingworld.tasks t SET ended_at = now() WHERE t.world_id = $1 AND now() - t.heartbeat_at > t.dead_after",
    "INSERT INTO livingworld.leases VALUES ($1) ON CONFLICT (world_id) DO UPDATE SET expires_at = excluded.expires_at",
    "UPDATE livingworld.stories SET updated_at = now() WHERE stories.world_id = $1",
    "UPDATE livingworld.turns t SET state = CASE WHEN in_why = 'x' THEN 'y' ELSE 'z' END WHERE t.world_id = $1",
    "UPDATE livingworld.presences p SET expires_at = now() + $2 WHERE p.world_id = $1",
    "INSERT INTO livingworld.worlds (world_id) VALUES ($1)",
    "SELECT * FROM public.scenes",
]
PLANNED_AT_EACH_CALL = {
    "SELECT in_choice IS NOT NULL AND NOT EXISTS (SELECT FROM livingworld.scenes c WHERE c.world_id = $1)": "SubLink",
    "WITH g AS (SELECT 1) SELECT FROM livingworld.scenes c WHERE c.world_id = $1": "CommonTableExpr",
    "SELECT FROM livingworld.scenes c, (SELECT 1) g WHERE c.world_id = $1": "RangeSubselect",
    "UPDATE livingworld.scenes c SET version = 2 FROM unnest($2) g WHERE c.world_id = $1": "RangeFunction",
    "UPDATE livingworld.scenes c SET version = 2 FROM livingworld.stories s WHERE c.world_id = $1": "scenes, stories",
    "INSERT INTO livingworld.scenes (world_id) SELECT $1": "INSERT of a SELECT",
    "SELECT 1 UNION ALL SELECT version FROM livingworld.scenes c WHERE c.world_id = $1": "UNION",
}


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


@pytest.mark.parametrize("check", WORLD_CHECKS, ids=lambda check: check.name)
def test_a_repair_of_the_doctor_stays_on_its_shard(check: WorldCheck) -> None:
    statements = [re.sub(r"(?<!:):(\w+)", "$1", each) for each in (check.find, *check.statements)]

    assert {statement: rules for statement in statements if (rules := broken_rules(statement))} == {}


@pytest.mark.parametrize("function", function_sources(), ids=lambda path: path.stem)
def test_no_assignment_reads_a_table(function: Path) -> None:
    source = function.read_text()

    assert "\nLANGUAGE sql\n" in source or tables_in_assignments(source) == []


def test_an_assignment_that_reads_a_table_is_found() -> None:
    body = "BEGIN x[1] := EXISTS (SELECT FROM livingworld.scenes s WHERE s.world_id = in_world_id); END"

    assert (
        len(
            tables_in_assignments(
                f"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ DECLARE x bool[]; {body} $$"
            )
        )
        == 1
    )


#: An INSERT that may conflict, where the statement behind it asks whether a row was written.
COUNTED = re.compile(
    r"INSERT INTO(?:(?!;).)*?ON CONFLICT(?:(?!;).)*?;\s*(?:IF|GET|EXIT|CONTINUE|\w+ :=)[^;]*?(?:FOUND|ROW_COUNT)",
    re.DOTALL,
)
SELECTED = re.compile(r"INSERT INTO [\w.]+(?: AS \w+)?\s*\([^)]*\)\s*(?:SELECT|WITH)\b")


def counted_selects(source: str) -> list[str]:
    """Return what Citus counts wrongly: rows that a SELECT found, also where they conflict and are not written."""
    return [found[0] for found in COUNTED.finditer(re.sub("--.*", "", source)) if SELECTED.match(found[0])]


@pytest.mark.parametrize("function", function_sources(), ids=lambda path: path.stem)
def test_no_function_asks_what_an_insert_of_selected_rows_wrote(function: Path) -> None:
    assert counted_selects(function.read_text()) == []


def test_an_insert_of_selected_rows_that_is_counted_is_found() -> None:
    insert = "INSERT INTO livingworld.t (world_id, v)\n    {rows} ON CONFLICT DO NOTHING;\n    IF NOT FOUND THEN"

    assert (
        len(counted_selects(insert.format(rows="SELECT in_world_id, d.v FROM jsonb_to_record(x) AS d (v text)"))) == 1
    )
    assert counted_selects(insert.format(rows="VALUES (in_world_id, (SELECT 1))")) == []


def test_citus_plans_every_statement_of_a_plain_append_once() -> None:
    (path,) = (path for path in function_sources() if path.stem == "append_plain_scene_v1")
    statements = statements_of_function(path.read_text())

    assert len(statements) > 8
    assert {statement: why for statement in statements if (why := planned_at_each_call(statement))} == {}


@pytest.mark.parametrize("statement", PLANNED_AT_EACH_CALL)
def test_a_statement_that_citus_plans_at_each_call_is_found(statement: str) -> None:
    assert any(PLANNED_AT_EACH_CALL[statement] in why for why in planned_at_each_call(statement))


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
