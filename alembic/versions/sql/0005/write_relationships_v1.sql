-- Change relationships at a coordinate, one after the other, and return what each change led to. The caller holds the lock of
-- the story.
CREATE FUNCTION livingworld.write_relationships_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_timeline integer,
    in_position integer,
    in_scene_number integer,
    in_changes text,                -- a JSON array of {source, target, sentiment, trust, familiarity, kind, notes, reason, first}
    in_ids jsonb                    -- the ids of the characters by reference
) RETURNS SETOF livingworld.relationship_changes
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
AS $function$
DECLARE
    given record;
    counted integer;
BEGIN
    FOR given IN
        SELECT g.*, (in_ids ->> g.source)::uuid AS source_id, (in_ids ->> g.target)::uuid AS target_id
        FROM json_to_recordset(in_changes::json) AS g (
            source text, target text, sentiment double precision, trust double precision, familiarity double precision,
            kind text, notes text, reason text, first boolean
        )
    LOOP
        IF given.first THEN
            RETURN QUERY
                SELECT * FROM livingworld.last_relationship_v1(
                    in_world_id, in_story_id, given.source_id, given.target_id, in_timeline, in_position, NULL
                );
            CONTINUE WHEN FOUND;
        END IF;
        INSERT INTO livingworld.relationships AS r (world_id, story_id, source_id, target_id, last_version)
        VALUES (in_world_id, in_story_id, given.source_id, given.target_id, 1)
        ON CONFLICT ON CONSTRAINT pk_relationships DO UPDATE SET last_version = r.last_version + 1
        RETURNING r.last_version INTO counted;
        INSERT INTO livingworld.relationship_changes
            (world_id, story_id, source_id, target_id, timeline_number, position, version, scene_number, sentiment_delta,
             trust_delta, familiarity_delta, reason, is_first, kind_given, notes_given, sentiment, trust, familiarity, changes)
        VALUES (in_world_id, in_story_id, given.source_id, given.target_id, in_timeline, in_position, counted,
                in_scene_number, given.sentiment, given.trust, given.familiarity, given.reason,
                given.first, given.kind, given.notes, 0, 0, 0, 0);
        PERFORM livingworld.refold_relationship_v1(
            in_world_id, in_story_id, given.source_id, given.target_id, in_timeline, in_position, in_scene_number
        );
        RETURN QUERY
            SELECT c.* FROM livingworld.relationship_changes c
            WHERE c.world_id = in_world_id AND c.story_id = in_story_id AND c.source_id = given.source_id
                AND c.target_id = given.target_id AND c.timeline_number = in_timeline AND c.position = in_position
                AND c.version = counted;
    END LOOP;
END
$function$
