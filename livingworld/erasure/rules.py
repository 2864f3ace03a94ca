"""Whose text each column holds: the rule of every column that can hold a text, or a vector or digest of one.

A test compares it with the tables, so that a new column does not come without a rule; another one fills each column
that is erased, and looks for the text afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final


class Rule(StrEnum):
    """What becomes of a column when a person is erased."""

    #: Removed or blanked where the row is hers, by its turn, its session, its player or its JSON member `player`.
    ERASED = "erased"
    #: The story's: kept, or removed with the scenes of her turns, as `scenes` says.
    SCENES = "scenes"
    #: Written by the application about the world: kept. The application changes or removes it by the call for it.
    APPLICATION = "application"
    #: A word, a version or a digest of the library's own.
    NOBODY = "nobody"


_COLUMNS: Final[Mapping[Rule, str]] = {
    Rule.ERASED: """
        turns: request_key request_hash player instruction own_input origin_key merged_into
        turn_waiters: request_key request_hash player instruction
        turn_leases: request_key
        generations: request_key parameters prompt_digest raw_response parsed error
        model_calls: request_key parameters prompt answer error
        scenes: raw_response turn_key
        revisions: content
        sessions: key player context
        interactions: request response metadata
        tasks: kind payload progress result error cancel_reason
        presences: player
        present_players: player
        live_events: details
        actions: payload cancel_reason result errors
        training_samples: role input output metadata
        request_keys: request_key request_hash result
        embedding_cache: embedder digest vector
    """,
    Rule.SCENES: """
        scenes: content choices location story_time metadata
        scene_words: words
        scene_vectors: embedder vector
        facts: value
        memories: kind content digest
        memory_vectors: embedder vector
        memory_embedding_jobs: embedder error
        relationship_changes: reason kind_given kind notes_given notes
    """,
    Rule.APPLICATION: """
        worlds: key name tenant settings request_key request_hash
        stories: key title premise system_prompt settings
        branches: name
        scene_cast: role
        characters: key name card
        character_names: name_key name
        character_vectors: embedder vector
        fact_names: subject attribute
        facts: subject attribute
        lore_entries: book title content keys secondary_keys raw
        documents: key value
        document_versions: key value
        lanes: lane
        actions: lane kind
        leases: name
        cycles: name
        cycle_runs: name phases reason results error
        live_events: kind
        model_calls: name model script_version
        generations: model script_version
        ai_model_roles: role
        ai_models: role provider name settings
        scripts: name
        script_versions: name kind body digest
        script_activations: name
        script_executions: name host
        memory_embedders: embedder next_embedder
    """,
    Rule.NOBODY: """
        turns: state
        generations: state
        tasks: state when_owner_dies
        actions: state decision
        stories: status
        story_activity: status
        revisions: entity
        lore_entries: secondary_logic
        cycle_runs: state
        ai_models: state
        script_versions: state
    """,
}


def _rules() -> Iterator[tuple[tuple[str, str], Rule]]:
    for rule, text in _COLUMNS.items():
        for line in text.split("\n"):
            table, _, columns = line.strip().partition(": ")
            for column in columns.split():
                yield (table, column), rule


#: By table and column.
RULES: Final[Mapping[tuple[str, str], Rule]] = dict(_rules())
