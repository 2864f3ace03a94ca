-- Remember texts at a coordinate, and return the memory of each in the order given: a text that the same character remembers
-- on the path already is not stored again. The caller holds the lock of the story.
CREATE FUNCTION livingworld.write_memories_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_timeline integer,
    in_position integer,
    in_scene_number integer,
    in_memories text,               -- a JSON array of {memory_id, character, kind, content, digest, private, importance,
                                    -- valence, embedder, vector}; digest is hexadecimal, the last two may be missing
    in_ids jsonb                    -- the ids of the characters by reference
) RETURNS TABLE (memory_id uuid, created boolean)
LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
    given record;
    active record;
    name text;
BEGIN
    IF in_memories::jsonb = '[]' THEN
        RETURN;
    END IF;
    -- A change of the embedder and this write exclude each other: every memory gets its job.
    INSERT INTO livingworld.memory_embedders (world_id) VALUES (in_world_id)
    ON CONFLICT ON CONSTRAINT pk_memory_embedders DO NOTHING;
    SELECT e.embedder, e.dimensions, e.next_embedder, e.next_dimensions INTO active
    FROM livingworld.memory_embedders e WHERE e.world_id = in_world_id FOR SHARE;
    FOR given IN
        SELECT g.*, decode(g.digest, 'hex') AS digest_bytes, (in_ids ->> g.character)::uuid AS character_id
        FROM json_to_recordset(in_memories::json) AS g (
            memory_id uuid, "character" text, kind text, content text, digest text, private boolean,
            importance double precision, valence double precision, embedder text, vector real[]
        )
    LOOP
        IF cardinality(given.vector) <> (
            CASE given.embedder WHEN active.embedder THEN active.dimensions
            WHEN active.next_embedder THEN active.next_dimensions END
        ) THEN
            RAISE EXCEPTION 'the vector has % dimensions: "ck_memory_vectors_dimensions"', cardinality(given.vector)
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_memory_vectors_dimensions';
        END IF;
        SELECT m.memory_id INTO memory_id
        FROM (
            SELECT * FROM livingworld.memories m
            WHERE m.world_id = in_world_id AND m.digest = given.digest_bytes AND m.story_id = in_story_id
                AND m.character_id IS NOT DISTINCT FROM given.character_id AND m.archived_in IS NULL
                AND m.forgotten_at IS NULL
            OFFSET 0
        ) m
        CROSS JOIN livingworld.path_ranges_v1(in_world_id, in_story_id, in_timeline, in_position) p
        WHERE m.timeline_number = p.timeline_number AND m.position BETWEEN p.from_position AND p.to_position
        LIMIT 1;
        created := NOT FOUND;
        IF created THEN
            INSERT INTO livingworld.memories AS m
                (world_id, memory_id, story_id, timeline_number, position, scene_number, character_id, kind, content, digest,
                 private, importance, valence, updated_at)
            VALUES (in_world_id, given.memory_id, in_story_id, in_timeline, in_position, in_scene_number, given.character_id,
                    given.kind, given.content, given.digest_bytes, given.private, given.importance, given.valence, now())
            -- It was forgotten in this very scene: it is remembered again.
            ON CONFLICT (world_id, digest, story_id, timeline_number, position, character_id) WHERE archived_in IS NULL
            DO UPDATE SET forgotten_at = NULL, kind = excluded.kind, private = excluded.private,
                importance = excluded.importance, valence = excluded.valence,
                version = m.version + 1, updated_at = excluded.updated_at
            RETURNING m.memory_id INTO memory_id;
            IF given.vector IS NOT NULL THEN
                INSERT INTO livingworld.memory_vectors (world_id, memory_id, embedder, vector)
                VALUES (in_world_id, memory_id, given.embedder, given.vector)
                ON CONFLICT ON CONSTRAINT pk_memory_vectors DO NOTHING;
            END IF;
            FOREACH name IN ARRAY ARRAY[active.embedder, active.next_embedder] LOOP
                CONTINUE WHEN name IS NULL OR (given.vector IS NOT NULL AND name = given.embedder);
                INSERT INTO livingworld.memory_embedding_jobs (world_id, embedder, memory_id)
                VALUES (in_world_id, name, memory_id)
                ON CONFLICT ON CONSTRAINT pk_memory_embedding_jobs DO NOTHING;
            END LOOP;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$function$
