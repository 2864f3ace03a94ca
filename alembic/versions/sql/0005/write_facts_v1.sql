-- Write facts at a coordinate and return the version of each. The caller holds the lock of the story. A fact that is given twice,
-- by two names of one character, is an error of the constraint uq_facts_given_once.
CREATE FUNCTION livingworld.write_facts_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_timeline integer,
    in_position integer,
    in_scene_number integer,
    in_facts text,                  -- a JSON array of {subject, attribute, value}; without a value it is retracted
    in_ids jsonb                    -- the ids of characters by reference; a subject that begins with = is no character
) RETURNS TABLE (ordinal integer, subject text, name text, version integer, created_at timestamptz)
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
    IF (SELECT count(*) > count(DISTINCT i.value) FROM jsonb_each_text(in_ids) i) AND EXISTS (
        SELECT FROM json_array_elements(in_facts::json) AS f
        GROUP BY coalesce(in_ids ->> (f ->> 'subject'), f ->> 'subject'), f ->> 'attribute' HAVING count(*) > 1
    ) THEN
        RAISE EXCEPTION 'two names of one character: "uq_facts_given_once"' USING ERRCODE = 'unique_violation', CONSTRAINT = 'uq_facts_given_once';
    END IF;
    RETURN QUERY
        WITH given AS (
            SELECT coalesce(in_ids ->> (g.fact ->> 'subject'), g.fact ->> 'subject') AS subject,
                   g.fact ->> 'attribute' AS attribute, (g.fact -> 'value')::jsonb AS value, g.ordinal::integer
            FROM json_array_elements(in_facts::json) WITH ORDINALITY AS g (fact, ordinal)
        ), counted AS (
            INSERT INTO livingworld.fact_names AS n (world_id, story_id, subject, attribute, last_version)
            SELECT in_world_id, in_story_id, g.subject, g.attribute, 1 FROM given g
            ON CONFLICT ON CONSTRAINT pk_fact_names DO UPDATE SET last_version = n.last_version + 1
            RETURNING n.subject, n.attribute, n.last_version
        ), written AS (
            INSERT INTO livingworld.facts AS f
                (world_id, story_id, subject, attribute, timeline_number, position, version, scene_number, value)
            SELECT in_world_id, in_story_id, g.subject, g.attribute, in_timeline, in_position, c.last_version,
                   in_scene_number, g.value
            FROM given g JOIN counted c ON c.subject = g.subject AND c.attribute = g.attribute
            RETURNING f.subject, f.attribute, f.version, f.created_at
        )
        SELECT g.ordinal, w.subject, livingworld.name_of_subject_v1(in_world_id, w.subject), w.version, w.created_at
        FROM written w JOIN given g ON g.subject = w.subject AND g.attribute = w.attribute
        ORDER BY g.ordinal;
END
$function$
