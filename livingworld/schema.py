"""Every table of livingworld: all that alembic imports."""

from livingworld.actions.tables import actions, lanes
from livingworld.ai_models.tables import ai_model_roles, ai_models, training_samples
from livingworld.characters.tables import character_names, characters
from livingworld.cycles.tables import cycle_runs, cycles
from livingworld.database.idempotency import request_keys
from livingworld.database.live_events import live_events, live_streams
from livingworld.database.metadata import metadata
from livingworld.database.revisions import revisions
from livingworld.documents.tables import document_versions, documents
from livingworld.embeddings.tables import embedding_cache
from livingworld.facts.tables import fact_names, facts
from livingworld.locks.tables import leases
from livingworld.lore.tables import lore_entries
from livingworld.memories.tables import memories, memory_embedders, memory_embedding_jobs, memory_vectors
from livingworld.relationships.tables import relationship_changes, relationships
from livingworld.scripts.tables import script_activations, script_executions, script_versions, scripts
from livingworld.sessions.tables import interactions, sessions, tasks
from livingworld.stories.scene_tables import choices, scene_cast, scenes
from livingworld.stories.tables import branches, stories, timeline_lineage, timelines
from livingworld.turns.tables import generations, turn_leases, turn_waiters, turns
from livingworld.worlds.tables import worlds

__all__ = [
    "actions",
    "ai_model_roles",
    "ai_models",
    "branches",
    "character_names",
    "characters",
    "choices",
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
    "lore_entries",
    "memories",
    "memory_embedders",
    "memory_embedding_jobs",
    "memory_vectors",
    "metadata",
    "relationship_changes",
    "relationships",
    "request_keys",
    "revisions",
    "scene_cast",
    "scenes",
    "script_activations",
    "script_executions",
    "script_versions",
    "scripts",
    "sessions",
    "stories",
    "tasks",
    "timeline_lineage",
    "timelines",
    "training_samples",
    "turn_leases",
    "turn_waiters",
    "turns",
    "worlds",
]
