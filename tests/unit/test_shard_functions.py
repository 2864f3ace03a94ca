"""A function that is written for each shard names the tables of that shard, and is there as long as the shard is."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

import pytest

from livingworld.postgres.distribution.cluster import Cluster, Function
from livingworld.postgres.distribution.shard_functions import Written, written_for
from livingworld.postgres.distribution.steps import steps
from livingworld.schema import metadata
from tests.unit.test_distribution_steps import LIMITS, WHOLE

NAMES: Final = sorted(metadata.info["written_for_shards"])
CUT: Final = [table.name for table in metadata.sorted_tables if table.name != "worlds"]
#: As Citus numbers them: table by table.
SHARDS: Final = tuple({name: 102000 + 4 * at + part for at, name in enumerate(CUT)} for part in range(4))
TABLE: Final = re.compile(r"\blivingworld\.(\w+)\b(?!\()")


def written(name: str, plan_cache_mode: str = "auto") -> dict[str, Written]:
    return {each.name: each for each in written_for(name, SHARDS, "request_keys", plan_cache_mode)}


def found(functions: dict[str, Written]) -> tuple[Function, ...]:
    """Return functions as the catalogue has them."""
    alone = metadata.info["called_alone"]
    return tuple(
        Function(name, f"{name}(uuid)", "plpgsql", each.plan_cache_mode, True, name in alone, each.source)  # noqa: FBT003
        for name, each in functions.items()
    )


def left(cluster: Cluster) -> list[str]:
    return [step.missing for step in steps(cluster, metadata, LIMITS, 4, "tales")]


@pytest.mark.parametrize("name", NAMES)
def test_each_statement_of_a_shard_names_tables_of_that_shard(name: str) -> None:
    for shards in SHARDS:
        body = written(name)[f"{name}_{shards['request_keys']}"].source
        tables = TABLE.findall(body)

        assert tables != []
        assert [table for table in tables if table not in {f"{cut}_{number}" for cut, number in shards.items()}] == []


@pytest.mark.parametrize("name", NAMES)
def test_what_a_function_of_a_shard_calls_goes_through_citus_with_plans_of_its_own(name: str) -> None:
    functions = written(name, "force_custom_plan")
    one = functions[f"{name}_{SHARDS[0]['request_keys']}"]
    called = set(re.findall(r"\blivingworld\.(\w+)\(", one.source))

    assert called != set()
    assert all(functions[each].plan_cache_mode == "force_custom_plan" for each in called)
    assert one.plan_cache_mode == "force_generic_plan"


@pytest.mark.parametrize("name", NAMES)
def test_the_function_that_chooses_has_a_case_for_each_shard(name: str) -> None:
    for shards in SHARDS:
        assert f"WHEN {shards['request_keys']} THEN" in written(name)[name].source


def test_a_shard_is_held_before_it_is_looked_at() -> None:
    """A move that the look does not see yet then waits for this transaction."""
    lock, look, answer = written(NAMES[0])["local_shard_v1"].source.split("BEGIN\n")[1].split(";")[:3]

    assert "PERFORM lock_shard_metadata(5," in lock
    assert "FROM pg_dist_placement" in look
    assert "WHEN FOUND" in answer


def test_only_what_commits_by_itself_chooses_a_shard() -> None:
    """A longer transaction may have written over a connection of Citus, whose rows this session does not see."""
    first, _ = written(NAMES[0])[NAMES[0]].source.split("BEGIN\n")[1].split("THEN\n", 1)

    assert " ".join(first.split()) == "IF in_publish AND current_setting('transaction_isolation') = 'read committed'"


def test_nothing_is_left_where_each_shard_has_its_functions_and_a_split_makes_those_of_the_new_ones() -> None:
    (name,) = NAMES
    whole = replace(WHOLE, shards=SHARDS, functions=found(written(name)))
    assert left(whole) == []

    assert left(replace(whole, shards=SHARDS[1:])) == [
        f"the function {name} for each shard",
        f"the end of {name}_{SHARDS[0]['request_keys']}, of no shard",
    ]
    assert left(replace(whole, shards=(*SHARDS, {table: number + 5000 for table, number in SHARDS[0].items()}))) == [
        f"the function {name} for each shard"
    ]


def test_a_newer_release_of_citus_has_them_planned_for_each_call() -> None:
    (name,) = NAMES
    settings = WHOLE.settings | {("plan_cache_mode", "force_custom_plan")}
    newer = replace(WHOLE, release=(13, 2, 2), settings=settings, shards=SHARDS, functions=found(written(name)))

    assert left(newer) == [f"the function {name} for each shard"]
    assert left(replace(newer, functions=found(written(name, "force_custom_plan")))) == []


def test_a_database_with_tables_that_are_local_yet_has_none() -> None:
    (name,) = NAMES
    local = replace(
        WHOLE, shards=SHARDS, tables=WHOLE.tables - {"scenes"}, functions=found({name: written(name)[name]})
    )

    assert [missing for missing in left(local) if "for each shard" in missing] == []


def test_roles_that_may_call_the_function_may_call_what_it_became() -> None:
    (name,) = NAMES
    (step,) = steps(
        replace(WHOLE, shards=SHARDS, functions=found({name: written(name)[name]})), metadata, LIMITS, 4, "t"
    )
    (grants,) = [statement for statement in step.statements if "aclexplode" in statement]

    assert f"'{name}_{SHARDS[3]['request_keys']}'" in grants
    assert f"REVOKE EXECUTE ON FUNCTION livingworld.{name}_through_citus FROM PUBLIC" in step.statements
