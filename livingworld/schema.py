"""Every table of livingworld: all that alembic imports."""

from livingworld.characters.tables import character_names, characters
from livingworld.database.idempotency import request_keys
from livingworld.database.metadata import metadata
from livingworld.database.revisions import revisions
from livingworld.documents.tables import document_versions, documents
from livingworld.stories.scene_tables import choices, scene_cast, scenes
from livingworld.stories.tables import branches, stories, timeline_lineage, timelines
from livingworld.turns.tables import generations, turn_leases, turn_waiters, turns
from livingworld.worlds.tables import worlds

__all__ = [
    "branches",
    "character_names",
    "characters",
    "choices",
    "document_versions",
    "documents",
    "generations",
    "metadata",
    "request_keys",
    "revisions",
    "scene_cast",
    "scenes",
    "stories",
    "timeline_lineage",
    "timelines",
    "turn_leases",
    "turn_waiters",
    "turns",
    "worlds",
]
