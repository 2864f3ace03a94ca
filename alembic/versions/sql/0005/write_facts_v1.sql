-- Write facts at a coordinate and return the version of each. The caller holds the lock of the story. No fact is named twice.
CREATE FUNCTION livingworld.write_facts_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_timeline integer,
    in_position integer,
    in_scene_number integer,
    in_facts text                   -- a JSON array of {subject, attribute, value}; without a value it is retracted
) RETURNS TABLE (subject text, attribute text, version integer, created_at timestamptz)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH given AS (
            SELECT g ->> 'subject' AS subject, g ->> 'attribute' AS attribute, (g -> 'value')::jsonb AS value
            FROM json_array_elements(in_facts::json) AS g
        ), counted AS (
            INSERT INTO livingworld.fact_names AS n (world_id, story_id, subject, attribute, last_version)
            SELECT in_world_id, in_story_id, g.subject, g.attribute, 1 FROM given g
            ON CONFLICT ON CONSTRAINT pk_fact_names DO UPDATE SET last_version = n.last_version + 1
            RETURNING n.subject, n.attribute, n.last_version
        )
        INSERT INTO livingworld.facts AS f
            (world_id, story_id, subject, attribute, timeline_number, position, version, scene_number, value)
        SELECT in_world_id, in_story_id, g.subject, g.attribute, in_timeline, in_position, c.last_version, in_scene_number,
               g.value
        FROM given g JOIN counted c ON c.subject = g.subject AND c.attribute = g.attribute
        RETURNING f.subject, f.attribute, f.version, f.created_at;
END
$function$
