"""What `livingworld db distribute` does next, from one look at a database."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from alembic.script import ScriptDirectory

import livingworld
from livingworld.postgres.distribution.cluster import Cluster, ForeignKey, Function
from livingworld.postgres.distribution.functions import as_plpgsql
from livingworld.postgres.distribution.step import Step
from livingworld.postgres.distribution.steps import SETTINGS, reference_tables, steps
from livingworld.postgres.migration_text import TABLES, without_foreign_keys
from livingworld.postgres.migrations import script_location
from livingworld.schema import metadata

LIMITS: Final = {"lock_timeout": "25ms"}
TABLES_OF_US: Final = frozenset(table.name for table in metadata.sorted_tables) | reference_tables(metadata)
KEYS: Final = tuple(
    ForeignKey(str(key.name), table.name, next(iter(key.elements)).column.table.name)
    for table in metadata.sorted_tables
    for key in table.foreign_key_constraints
)
ROUTED: Final = metadata.info["called_alone"]


def function(name: str, *, plan_cache_mode: str | None = None, is_known: bool = True, source: str = "") -> Function:
    routed = is_known and name in ROUTED
    return Function(name, f"{name}(uuid)", "plpgsql", plan_cache_mode, is_known, routed, source)


WHOLE: Final = Cluster(
    version="13.2-1",
    release=(13, 2, 0),
    nodes=("a:5432", "b:5432"),
    has_coordinator=True,
    keeps_shards=True,
    existing=TABLES_OF_US,
    tables=TABLES_OF_US,
    left_rows=frozenset(),
    foreign_keys=KEYS,
    functions=(function("take_turns_v1"), function("path_ranges_v1")),
    shards=({"stories": 102001, "request_keys": 102008}, {"stories": 102002, "request_keys": 102009}),
    settings=frozenset((SETTINGS | LIMITS).items()),
)


def left(cluster: Cluster) -> list[Step]:
    return steps(cluster, metadata, LIMITS, 4, "tales")


def said(cluster: Cluster) -> list[str]:
    return [statement for step in left(cluster) for statement in step.statements]


def test_nothing_is_left_where_everything_is_there() -> None:
    assert left(WHOLE) == []


def test_a_local_database_is_freed_of_foreign_keys_distributed_and_gets_them_back() -> None:
    statements = said(replace(WHOLE, tables=frozenset()))
    created = [statement for statement in statements if "create_" in statement]
    dropped, added = ([each for each in statements if word in each] for word in ("DROP CONSTRAINT", "ADD CONSTRAINT"))

    assert len(created) == len(TABLES_OF_US)
    assert len(dropped) == len(added) == len(KEYS)
    assert statements.index(dropped[-1]) < statements.index(created[0])
    assert statements.index(created[-1]) < statements.index(added[0])
    assert [each for each in created if "reference" in each] == created[: len(reference_tables(metadata))]
    assert "shard_count => 4" in created[len(reference_tables(metadata))]


def test_tables_that_a_later_revision_makes_are_not_asked_for() -> None:
    earlier = replace(WHOLE, existing=TABLES_OF_US - {"scenes", "turns"}, tables=TABLES_OF_US - {"scenes", "turns"})
    keys = [key for key in KEYS if key.child not in {"scenes", "turns"}]

    assert left(replace(earlier, foreign_keys=tuple(keys))) == []


def test_after_a_failure_only_what_is_missing_is_done() -> None:
    half = replace(WHOLE, tables=TABLES_OF_US - {"scenes"}, foreign_keys=())

    assert len([statement for statement in said(half) if "create_distributed_table" in statement]) == 1
    assert len([statement for statement in said(half) if "ADD CONSTRAINT" in statement]) == len(KEYS)


def test_one_missing_setting_foreign_key_or_function_is_one_step() -> None:
    unknown = (function("next_v1", is_known=False),)
    for cluster, words in (
        (replace(WHOLE, settings=WHOLE.settings - {("lock_timeout", "25ms")}), "ALTER DATABASE tales SET lock_timeout"),
        (replace(WHOLE, foreign_keys=KEYS[1:]), f"ADD CONSTRAINT {KEYS[0].name}"),
        (replace(WHOLE, functions=unknown), "create_distributed_function('next_v1(uuid)')"),
    ):
        (statement,) = said(cluster)
        assert words in statement


@pytest.mark.parametrize("release", [(13, 2, 1), (13, 2, 2), (14, 0, 1), (14, 1)])
def test_no_plan_is_kept_by_a_release_of_citus_that_never_finds_it_again(release: tuple[int, ...]) -> None:
    (statement,) = said(replace(WHOLE, release=release))

    assert statement == "ALTER DATABASE tales SET plan_cache_mode = 'force_custom_plan'"


def test_a_function_plans_anew_and_one_that_is_called_alone_goes_to_the_node_of_its_world() -> None:
    reset, routed = said(replace(WHOLE, functions=(function("take_turns_v1", plan_cache_mode="force_generic_plan"),)))

    assert reset == "ALTER FUNCTION take_turns_v1(uuid) RESET plan_cache_mode"
    assert "'in_world_id'" in routed


def test_a_function_of_sql_that_reads_tables_becomes_one_of_plpgsql() -> None:
    written = as_plpgsql("path_ranges_v1")

    assert written is not None
    assert written.startswith("CREATE OR REPLACE FUNCTION livingworld.path_ranges_v1(")
    assert "RETURN QUERY" in written
    assert "BEGIN ATOMIC" not in written
    assert "RETURN (\n" in str(as_plpgsql("world_of_tenant_v1"))
    assert as_plpgsql("vector_similarity") is as_plpgsql("take_turns_v1") is None


def test_every_function_that_a_statement_calls_alone_is_known_to_be_one() -> None:
    alone = re.compile(r'(?:= f?"SELECT (?:\* FROM )?|_Statements\.of\(f")livingworld\.(\w+_v1)\(')
    package = Path(livingworld.__file__).parent
    found = {name for path in package.rglob("*.py") for name in alone.findall(path.read_text())}
    volatile = {name for name in found if "\nSTABLE\n" not in source_of(name)}

    assert volatile - NOT_ROUTED == ROUTED


#: These are called within a transaction, or write nothing: Citus runs them where the caller is.
NOT_ROUTED: Final = {
    *("publish_events_v1", "refresh_lane_head_v1", "next_in_line_v1"),
    *("erase_turns_v1", "erase_scenes_v1", "erase_state_v1"),
}


def source_of(name: str) -> str:
    (path,) = Path(livingworld.__file__).parent.rglob(f"sql/{name}.sql")
    return path.read_text()


def test_a_new_table_of_a_distributed_database_is_made_without_its_foreign_keys() -> None:
    for path in sorted((script_location() / "versions/sql").glob(f"*/{TABLES}")):
        for statement in path.read_text().split(";\n"):
            made = without_foreign_keys(statement.strip())
            assert "FOREIGN KEY" not in made
            assert made.count("(") == made.count(")")


def test_a_revision_has_both_ways_and_chooses_when_it_runs() -> None:
    scripts = ScriptDirectory(str(script_location()))
    for script in scripts.walk_revisions():
        (step,) = script.module.STEPS
        assert step.where_distributed == tuple(map(without_foreign_keys, step.statements))
        assert step.where_distributed != step.statements
