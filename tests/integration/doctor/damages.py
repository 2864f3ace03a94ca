"""A way to damage a world for each check: what a disk, a restore or a hand on the tables can do."""

from __future__ import annotations

from typing import Final

#: By the check that finds it and repairs it.
REPAIRED: Final[dict[str, str]] = {
    "story_counters": "UPDATE livingworld.stories SET last_scene_number = 1",
    "heads_misplaced": "UPDATE livingworld.branches SET head_position = 1 WHERE branch_number = 1",
    "redo_lost": "UPDATE livingworld.branches SET redo_scene_number = 1, redo_timeline = 1, redo_position = 7,"
    " redo_version = version WHERE branch_number = 1",
    "lineage": "UPDATE livingworld.timeline_lineage SET to_position = to_position + 1",
    "parents": "UPDATE livingworld.scenes SET parent_scene_number = 1 WHERE scene_number = 3",
    "words_missing": "DELETE FROM livingworld.unindexed_scenes WHERE scene_number = 2;"
    " DELETE FROM livingworld.scene_words WHERE scene_number = 2",
    "words_orphaned": "INSERT INTO livingworld.scene_words (world_id, story_id, scene_number, version, words)"
    " SELECT world_id, story_id, 99, 1, 'rain' FROM livingworld.stories",
    "fact_counters": "UPDATE livingworld.facts SET version = version + 10",
    "relationship_counters": "UPDATE livingworld.relationships SET last_version = 1",
    "relationship_sums": "UPDATE livingworld.relationship_changes SET trust = 0.75 WHERE version = 2",
    "vectors_of_wrong_size": "UPDATE livingworld.memory_vectors SET vector = '{1,0}'",
    "vectors_missing": "UPDATE livingworld.memory_vectors SET embedder = 'another'",
    "turn_leases_expired": "UPDATE livingworld.turn_leases SET owner = gen_random_uuid(), request_key = 'dead',"
    " branch_version = 1, taken_at = now() - interval '2h', expires_at = now() - interval '2h'",
    "turn_waiters_expired": "INSERT INTO livingworld.turn_waiters"
    " (world_id, story_id, branch_number, ticket, owner, request_key, request_hash, expires_at)"
    " SELECT world_id, story_id, 1, 1, gen_random_uuid(), 'dead', '', now() - interval '2h' FROM livingworld.stories",
    "document_versions_missing": "UPDATE livingworld.documents SET version = version + 1",
    "session_counters": "UPDATE livingworld.sessions SET last_interaction_number = 0",
    "script_counters": "UPDATE livingworld.scripts SET last_version = 1, active_version = 1",
    "model_counters": "UPDATE livingworld.ai_model_roles SET last_version = 1",
    "cycle_counters": "UPDATE livingworld.cycles SET last_run_number = 0",
    "cycles_expired": "UPDATE livingworld.cycles SET owner = gen_random_uuid(), expires_at = now() - interval '2h'",
    "leases_expired": "UPDATE livingworld.leases SET owner = gen_random_uuid(), expires_at = now() - interval '2h'",
    "executions_expired": "INSERT INTO livingworld.script_executions"
    " (world_id, name, version, execution_id, process_id, host, pid, expires_at)"
    " SELECT world_id, name, version, gen_random_uuid(), gen_random_uuid(), 'away', 1,"
    " now() - interval '2h' FROM livingworld.script_versions",
    "lanes": "UPDATE livingworld.lanes SET head_priority = NULL, head_created_at = NULL",
    "stream_counters": "UPDATE livingworld.live_streams SET last_number = 0",
    "stream_gaps": "DELETE FROM livingworld.live_events WHERE event_number = 1",
    "events_beyond_retention": "UPDATE livingworld.live_streams SET kept_after = last_number;"
    " UPDATE livingworld.live_events SET created_at = now() - interval '2h'",
    "indexes_missing": "DROP INDEX livingworld.ix_scenes_parent; DROP INDEX livingworld.uq_branches_name",
}
#: Other damage that the same checks find.
REPAIRED_TOO: Final[dict[str, tuple[str, str]]] = {
    "a timeline without what it inherits": ("lineage", "DELETE FROM livingworld.timeline_lineage"),
    "a counter of timelines": ("story_counters", "UPDATE livingworld.stories SET last_timeline_number = 1"),
    "words of a version to come": (
        "words_missing",
        "DELETE FROM livingworld.unindexed_scenes; UPDATE livingworld.scene_words SET version = 9",
    ),
    "a lane that counts too many": ("lanes", "UPDATE livingworld.lanes SET waiting = 7"),
    "a lane that seems to run": ("lanes", "UPDATE livingworld.lanes SET running_until = now() + interval '1 day'"),
    "a lane that sleeps too long": ("lanes", "UPDATE livingworld.lanes SET wakes_at = 'infinity'"),
    "a lane that never wakes": ("lanes", "UPDATE livingworld.lanes SET wakes_at = NULL"),
    "a lane with a counter behind": ("lanes", "UPDATE livingworld.lanes SET last_number = 0"),
    "an activation behind": (
        "script_counters",
        "UPDATE livingworld.script_activations SET activation = activation + 10",
    ),
}
#: By the check that finds it and refuses to repair it.
REFUSED: Final[dict[str, str]] = {
    "scene_gaps": "DELETE FROM livingworld.scenes WHERE scene_number = 2",
    "heads_lost": "UPDATE livingworld.branches SET head_scene_number = 99 WHERE branch_number = 1",
    "current_branch_lost": "DELETE FROM livingworld.branches WHERE branch_number = 1",
    "timeline_gaps": "UPDATE livingworld.scenes SET position = 9 WHERE scene_number = 3",
    "scenes_off_timeline": "UPDATE livingworld.scenes SET timeline_number = 9 WHERE scene_number = 2",
    "choices_lost": "UPDATE livingworld.scenes SET chosen_choice = 5 WHERE scene_number = 2",
    "history_behind": "DELETE FROM livingworld.revisions",
    "state_off_path": "UPDATE livingworld.memories SET position = 7 WHERE position > 0",
    "archived_state_orphaned": "UPDATE livingworld.facts SET archived_in = gen_random_uuid()"
    " WHERE archived_in IS NOT NULL",
    "memory_digests": "UPDATE livingworld.memories SET content = content || '!'",
    "turn_results_lost": "UPDATE livingworld.turns SET scene_number = 99 WHERE state = 'committed'",
    "turns_merged_nowhere": "UPDATE livingworld.turns SET state = 'merged', scene_number = NULL, merged_into = 'gone'"
    " WHERE request_key = '1'",
    "document_history": "DELETE FROM livingworld.document_versions WHERE version = 1",
    "tasks_dead": "UPDATE livingworld.tasks SET heartbeat_at = now() - interval '2h', dead_after = interval '1 minute'",
    "scripts_active_nowhere": "DELETE FROM livingworld.script_versions WHERE version = 2",
    "script_digests": "UPDATE livingworld.script_versions SET body = body || '!'",
    "times_of_the_future": "UPDATE livingworld.stories SET updated_at = now() + interval '1 day'",
    "references_lost": "DELETE FROM livingworld.characters",
    "constraints_missing": "ALTER TABLE livingworld.facts DROP CONSTRAINT ck_facts_version_positive",
    "functions_missing": "DROP FUNCTION livingworld.answer_left_v1",
}
#: Other damage that the same checks find: among it the wrong rows that a foreign key once prevented.
REFUSED_TOO: Final[dict[str, tuple[str, str]]] = {
    "a scene without its story": (
        "scenes_off_timeline",
        "DELETE FROM livingworld.timelines; DELETE FROM livingworld.stories",
    ),
    "the last scene of a story": (
        "scene_gaps",
        "DELETE FROM livingworld.scenes WHERE scene_number = (SELECT max(scene_number) FROM livingworld.scenes)",
    ),
    "a head on a timeline that is not there": (
        "heads_lost",
        "UPDATE livingworld.branches SET head_timeline = 99 WHERE branch_number = 1",
    ),
    "a parent that is not there": (
        "scene_gaps",
        "DELETE FROM livingworld.scenes WHERE scene_number = 1",
    ),
    "a timeline without a scene": (
        "timeline_gaps",
        """INSERT INTO livingworld.timelines (world_id, story_id, timeline_number, parent_timeline, fork_position)
        SELECT world_id, story_id, 50, 1, 1 FROM livingworld.stories""",
    ),
    "a name of nobody": (
        "references_lost",
        "UPDATE livingworld.character_names SET character_id = gen_random_uuid()",
    ),
    "an action without its lane": ("references_lost", "DELETE FROM livingworld.lanes"),
    "another value than in its history": ("document_history", "UPDATE livingworld.documents SET value = '1'"),
    "a deletion that is not in its history": ("document_history", "UPDATE livingworld.documents SET value = NULL"),
    "an old copy of a version to come": (
        "history_behind",
        "UPDATE livingworld.revisions SET version = 9",
    ),
    "an answer to a request key": (
        "turn_results_lost",
        "UPDATE livingworld.request_keys SET result = '{\"scene_number\": 99}'",
    ),
}
