"""Every table of livingworld: all that alembic imports."""

from livingworld.coordination.actions.tables import actions, lanes
from livingworld.coordination.cycles.tables import cycle_runs, cycles
from livingworld.coordination.documents.tables import document_versions, documents
from livingworld.coordination.locks.tables import leases
from livingworld.coordination.sessions.tables import interactions, sessions, tasks
from livingworld.live.tables import live_events, live_streams, presences, present_players
from livingworld.models.ai_models.tables import ai_model_roles, ai_models, training_samples
from livingworld.models.embeddings.tables import embedding_cache
from livingworld.models.scripts.tables import script_activations, script_executions, script_versions, scripts
from livingworld.postgres.idempotency import request_keys
from livingworld.postgres.metadata import metadata
from livingworld.story.characters.tables import character_names, characters
from livingworld.story.facts.tables import fact_names, facts
from livingworld.story.lore.tables import lore_changes, lore_entries
from livingworld.story.memories.tables import memories, memory_embedders, memory_embedding_jobs, memory_vectors
from livingworld.story.relationships.tables import relationship_changes, relationships
from livingworld.story.revisions import revisions
from livingworld.story.semantic_search.tables import character_vectors, scene_vectors
from livingworld.story.stories.scene_tables import scene_cast, scenes
from livingworld.story.stories.tables import branches, stories, story_activity, timeline_lineage, timelines
from livingworld.story.stories.word_tables import scene_words, unindexed_scenes
from livingworld.story.turns.tables import generations, turn_leases, turn_waiters, turns
from livingworld.story.worlds.tables import worlds

#: The functions that a statement calls alone: Citus runs such a call on the node that holds the world.
metadata.info["called_alone"] = frozenset(
    {
        "append_plain_scene_v1",
        "append_scenes_v1",
        "called_turns_v1",
        "choose_generation_v1",
        "claim_actions_v1",
        "commit_turn_v1",
        "commit_turns_v1",
        "complete_action_v1",
        "enqueue_actions_v1",
        "index_scenes_v1",
        "merge_turn_v1",
        "stop_action_v1",
        "take_turn_v1",
        "take_turns_v1",
    }
)

#: The functions that work on the tables of a shard by their names, on the node that has it.
metadata.info["written_for_shards"] = frozenset({"append_plain_scene_v1"})

#: The tables that grow with every scene, or with what players do: `livingworld db distribute --partitions` cuts them by
#: world. The vectors of memories are not among them: each world has an index of its own there.
metadata.info["largest"] = (
    *("scenes", "scene_words", "scene_cast", "scene_vectors", "revisions"),
    *("turns", "generations", "model_calls"),
    *("facts", "memories", "relationship_changes"),
    *("request_keys", "live_events", "interactions"),
)

__all__ = [
    "actions",
    "ai_model_roles",
    "ai_models",
    "branches",
    "character_names",
    "character_vectors",
    "characters",
    "cycle_runs",
    "cycles",
    "document_versions",
    "documents",
    "embedding_cache",
    "fact_names",
    "facts",
    "generations",
    "interactions",
    "lanes",
    "leases",
    "live_events",
    "live_streams",
    "lore_changes",
    "lore_entries",
    "memories",
    "memory_embedders",
    "memory_embedding_jobs",
    "memory_vectors",
    "metadata",
    "presences",
    "present_players",
    "relationship_changes",
    "relationships",
    "request_keys",
    "revisions",
    "scene_cast",
    "scene_vectors",
    "scene_words",
    "scenes",
    "script_activations",
    "script_executions",
    "script_versions",
    "scripts",
    "sessions",
    "stories",
    "story_activity",
    "tasks",
    "timeline_lineage",
    "timelines",
    "training_samples",
    "turn_leases",
    "turn_waiters",
    "turns",
    "unindexed_scenes",
    "worlds",
]
