from __future__ import annotations

from importlib.resources import files

import pytest
from sqlalchemy import ForeignKeyConstraint, PrimaryKeyConstraint, Table, UniqueConstraint

from livingworld.schema import metadata
from tests.distribution_rules import broken_rules, statements_of_function

TABLES = list(metadata.tables.values())
BAD = {
    "SELECT * FROM livingworld.scenes WHERE story_id = $1": "scenes without",
    "SELECT FROM livingworld.scenes s, livingworld.choices c WHERE s.world_id = $1 AND c.story_id = $2": "choices",
    "SELECT (SELECT count(*) FROM livingworld.scenes) FROM livingworld.stories WHERE world_id = $1": "scenes without",
    "UPDATE livingworld.stories SET title = 'x' WHERE story_id = $1": "stories without",
    "DELETE FROM livingworld.choices USING livingworld.scenes s WHERE s.world_id = $1": "choices without",
    "UPDATE livingworld.stories SET updated_at = clock_timestamp() WHERE world_id = $1": "clock_timestamp",
    "INSERT INTO livingworld.worlds VALUES ($1) ON CONFLICT (world_id) DO UPDATE SET name = random()::text": "random",
    "INSERT INTO livingworld.choices SELECT * FROM livingworld.choices": "choices without",
    "MERGE INTO livingworld.worlds w USING livingworld.worlds v ON w = v WHEN MATCHED THEN DELETE": "Merge",
}
GOOD = [
    "SELECT * FROM livingworld.scenes s JOIN livingworld.choices c ON c.world_id = s.world_id WHERE s.world_id = $1",
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


#: Each with the fewest statements that the reader of functions must find in it.
FUNCTIONS = {
    "coordination/actions/sql/settle_lane_v1.sql": 2,
    "coordination/actions/sql/stop_action_v1.sql": 3,
    "coordination/actions/sql/enqueue_actions_v1.sql": 5,
    "coordination/actions/sql/claim_actions_v1.sql": 8,
    "coordination/actions/sql/complete_action_v1.sql": 3,
    "story/stories/sql/append_scenes_v1.sql": 11,
    "story/turns/sql/choose_generation_v1.sql": 15,
    "story/turns/sql/commit_turns_v1.sql": 7,
    "story/turns/sql/make_characters_v1.sql": 4,
    "story/turns/sql/take_turns_v1.sql": 10,
    "story/turns/sql/request_standing_v1.sql": 1,
    "story/turns/sql/end_turn_v1.sql": 4,
    "story/turns/sql/leave_turn_v1.sql": 3,
    "story/turns/sql/answer_left_v1.sql": 2,
    "story/turns/sql/merge_turn_v1.sql": 7,
    "story/turns/sql/turn_contexts_v1.sql": 1,
    "story/turns/sql/await_turn_v1.sql": 4,
    "story/turns/sql/retold_place_v1.sql": 1,
    "story/stories/sql/path_pieces_v1.sql": 1,
    "story/stories/sql/story_place_v1.sql": 2,
    "story/characters/sql/named_characters_v1.sql": 1,
    "story/facts/sql/visible_facts_v1.sql": 1,
    "story/facts/sql/write_facts_v1.sql": 1,
    "story/relationships/sql/last_relationship_v1.sql": 1,
    "story/relationships/sql/refold_relationship_v1.sql": 4,
    "story/relationships/sql/visible_relationships_v1.sql": 1,
    "story/relationships/sql/write_relationships_v1.sql": 4,
    "story/memories/sql/visible_memories_v1.sql": 1,
    "story/memories/sql/write_memories_v1.sql": 6,
    "story/turns/sql/commit_turn_with_state_v1.sql": 5,
    "story/turns/sql/shelve_state_v1.sql": 4,
    "story/turns/sql/unshelve_state_v1.sql": 6,
    "live/sql/publish_events_v1.sql": 3,
    "story/stories/sql/append_scenes_v2.sql": 3,
    "story/turns/sql/publish_turn_v1.sql": 3,
    "story/turns/sql/commit_turns_v2.sql": 2,
    "story/turns/sql/commit_turn_with_state_v2.sql": 2,
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_stays_on_its_shard(function: str) -> None:
    statements = statements_of_function(files("livingworld").joinpath(function).read_text())

    assert len(statements) >= FUNCTIONS[function]
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
        if index.unique:
            assert next(iter(index.columns)).name == "world_id", index.name


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_no_column_takes_its_value_from_a_sequence(table: Table) -> None:
    assert not any(column.identity or column.autoincrement is True for column in table.columns)
    assert not any("nextval" in str(getattr(column.server_default, "arg", "")) for column in table.columns)
