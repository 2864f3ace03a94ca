"""A world after years: a long story, thousands of others with scenes, as many characters; loaded by plain SQL."""

from __future__ import annotations

from uuid import UUID

from livingworld.testing.staged_races import connected

_QUICKLY = "SET session_replication_role = replica"  # what is loaded is right by construction
#: What is new in an index of words is merged in the background; until then each search reads it whole.
MERGE_WORDS = """
    SELECT gin_clean_pending_list(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am a ON a.oid = c.relam
    WHERE a.amname = 'gin' AND c.relkind = 'i' AND c.relname NOT LIKE 'pg\\_%'
"""
_OTHERS = (
    """
    INSERT INTO livingworld.stories (world_id, story_id, title)
    SELECT $1, gen_random_uuid(), 'story ' || n FROM generate_series(1, $2::integer) n
    """,
    """
    INSERT INTO livingworld.story_activity (world_id, status, archived, last_scene_at, story_id)
    SELECT world_id, status, false, created_at, story_id FROM livingworld.stories
    WHERE world_id = $1 AND title LIKE 'story %' AND $2 > 0
    """,
    """
    INSERT INTO livingworld.timelines (world_id, story_id, timeline_number)
    SELECT world_id, story_id, 1 FROM livingworld.stories WHERE world_id = $1 AND title LIKE 'story %' AND $2 > 0
    """,
    """
    INSERT INTO livingworld.branches (world_id, story_id, branch_number, name)
    SELECT world_id, story_id, 1, 'main' FROM livingworld.stories
    WHERE world_id = $1 AND title LIKE 'story %' AND $2 > 0
    """,
    """
    INSERT INTO livingworld.turn_leases (world_id, story_id, branch_number, token)
    SELECT world_id, story_id, 1, 1 FROM livingworld.stories WHERE world_id = $1 AND title LIKE 'story %' AND $2 > 0
    """,
    """
    INSERT INTO livingworld.scenes
        (world_id, story_id, scene_number, parent_scene_number, timeline_number, position, content)
    SELECT world_id, story_id, n, nullif(n - 1, 0), 1, n, 'Low tide.'
    FROM livingworld.stories CROSS JOIN generate_series(1, 10) n
    WHERE world_id = $1 AND title LIKE 'story %' AND $2 > 0
    """,
    """
    INSERT INTO livingworld.facts
        (world_id, story_id, subject, attribute, timeline_number, position, version, scene_number, value)
    SELECT world_id, story_id, '=subject 7', 'mood', 1, n, n, n, '"calm"'
    FROM livingworld.stories CROSS JOIN generate_series(1, 2) n
    WHERE world_id = $1 AND title LIKE 'story %' AND $2 > 0
    """,
    """
    INSERT INTO livingworld.memories
        (world_id, memory_id, story_id, timeline_number, position, scene_number, kind, content, digest, private,
         importance, valence)
    SELECT world_id, gen_random_uuid(), story_id, 1, n, n, 'event', 'low tide ' || n,
           sha256(convert_to('low tide ' || n, 'UTF8')), false, 0.5, 0
    FROM livingworld.stories CROSS JOIN generate_series(1, 5) n
    WHERE world_id = $1 AND title LIKE 'story %' AND $2 > 0
    """,
    """
    WITH made AS (
        INSERT INTO livingworld.characters (world_id, character_id, name)
        SELECT $1, gen_random_uuid(), 'person ' || n FROM generate_series(1, $2::integer) n
        RETURNING world_id, character_id, name
    )
    INSERT INTO livingworld.character_names (world_id, name_key, character_id, name)
    SELECT world_id, name, character_id, name FROM made
    """,
)
_SCENES = (
    """
    INSERT INTO livingworld.scenes
        (world_id, story_id, scene_number, parent_scene_number, timeline_number, position, content, choices,
         chosen_choice)
    SELECT $1, $2, n, nullif(n - 1, 0), 1, n, repeat('The tide came in. ', 20), array_fill('Wade across'::text, '{3}'),
           CASE WHEN n > 1 THEN 1 END
    FROM generate_series(1, $3::integer) n
    """,
    """
    INSERT INTO livingworld.scene_cast (world_id, story_id, scene_number, character_id)
    SELECT $1, $2, n, c.character_id FROM generate_series(1, $3::integer) n
    CROSS JOIN (SELECT character_id FROM livingworld.characters WHERE world_id = $1 LIMIT 2) c
    """,
    """
    INSERT INTO livingworld.revisions (world_id, entity, entity_id, scene_number, version, content)
    SELECT $1, 'scene', $2, n, 1, '{}' FROM generate_series(1, $3::integer) n
    """,
    """
    INSERT INTO livingworld.request_keys (world_id, scope_id, request_key, request_hash, result)
    SELECT $1, $2, 'key ' || n, sha256('x'), '{}' FROM generate_series(1, $3::integer) n
    """,
    """
    INSERT INTO livingworld.turns
        (world_id, story_id, request_key, request_hash, state, branch_number, origin_key, token, scene_number, player,
         created_at)
    SELECT $1, $2, 'turn ' || n, sha256('x'), 'committed', 1, 'turn ' || n, n, n, 'ada',
           now() - interval '1 day' + n * interval '1 millisecond'
    FROM generate_series(1, $3::integer) n
    """,
    """
    INSERT INTO livingworld.generations
        (world_id, generation_id, story_id, request_key, attempt, state, scene_number)
    SELECT $1, gen_random_uuid(), $2, 'turn ' || n, 1, 'complete', n FROM generate_series(1, $3::integer) n
    """,
    """
    INSERT INTO livingworld.turn_leases (world_id, story_id, branch_number, token) SELECT $1, $2, 1, $3::integer
    """,
    """
    INSERT INTO livingworld.fact_names (world_id, story_id, subject, attribute, last_version)
    SELECT $1, $2, '=subject ' || n, 'mood', $3::integer FROM generate_series(1, 20) n
    """,
    """
    INSERT INTO livingworld.facts
        (world_id, story_id, subject, attribute, timeline_number, position, version, scene_number, value)
    SELECT $1, $2, '=subject ' || 1 + n % 20, 'mood', 1, n, n, n, '"calm"' FROM generate_series(1, $3::integer) n
    """,
    """
    INSERT INTO livingworld.relationships (world_id, story_id, source_id, target_id, last_version)
    SELECT $1, $2, a.character_id, b.character_id, $3::integer
    FROM livingworld.character_names a CROSS JOIN livingworld.character_names b
    WHERE a.world_id = $1 AND a.name_key = 'person 7' AND b.world_id = $1 AND b.name_key = 'person 8'
    """,
    """
    INSERT INTO livingworld.relationship_changes
        (world_id, story_id, source_id, target_id, timeline_number, position, version, scene_number, sentiment_delta,
         trust_delta, familiarity_delta, sentiment, trust, familiarity, changes)
    SELECT r.world_id, r.story_id, r.source_id, r.target_id, 1, n, n, n, 0, 0, 0, 0, 0, 0, n
    FROM livingworld.relationships r CROSS JOIN generate_series(1, $3::integer) n
    WHERE r.world_id = $1 AND r.story_id = $2
    """,
    """
    INSERT INTO livingworld.memories
        (world_id, memory_id, story_id, timeline_number, position, scene_number, kind, content, digest, private,
         importance, valence)
    SELECT $1, gen_random_uuid(), $2, 1, n, n, 'event', 'memory ' || n, sha256(convert_to('memory ' || n, 'UTF8')),
           false, 0.5, 0
    FROM generate_series(1, $3::integer) n
    """,
    """
    UPDATE livingworld.branches SET head_scene_number = $3, head_position = $3
    WHERE world_id = $1 AND story_id = $2 AND branch_number = 1
    """,
    "UPDATE livingworld.stories SET last_scene_number = $3 WHERE world_id = $1 AND story_id = $2",
)


async def fill_world(url: str, world_id: UUID, count: int) -> None:
    """Add so many stories of ten scenes, and so many characters called `person 1`, `person 2`, ..."""
    async with connected(url) as connection:
        await connection.execute(_QUICKLY)
        for statement in _OTHERS:
            await connection.execute(statement, world_id, count)
        await connection.execute(MERGE_WORDS)


async def fill_story(url: str, world_id: UUID, story_id: UUID, scenes: int) -> None:
    """Give an empty story so many scenes of three choices, each of which follows from the one before."""
    async with connected(url) as connection:
        await connection.execute(_QUICKLY)
        for statement in _SCENES:
            await connection.execute(statement, world_id, story_id, scenes)
        await connection.execute(MERGE_WORDS)


async def analyze(url: str) -> None:
    """Let the planner know what is in the tables."""
    async with connected(url) as connection:
        await connection.execute("ANALYZE")
