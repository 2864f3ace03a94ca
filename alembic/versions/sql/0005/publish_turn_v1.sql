-- Publish what a turn brought that was committed by the statement before: its scene to those who follow the story, the
-- characters it created to those who follow the world. Returns the streams that were followed, NULL when none was.
CREATE FUNCTION livingworld.publish_turn_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_status text,                 -- committed, or regenerated
    in_scene_number integer,
    in_branch_number integer,
    in_generation_id uuid,
    in_cast text                    -- as it was given to commit_turns_v1: a character to be created has a `new_id`
) RETURNS uuid[]
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
DECLARE
    wanted uuid[] := ARRAY[in_story_id];
    followed uuid[];
    streams uuid[] := '{}';
    kinds text[] := '{}';
    details text[] := '{}';
BEGIN
    IF in_cast LIKE '%"new_id"%' THEN
        -- Taken before the look, as publish_events_v1 says.
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('livingworld live ' || in_world_id, 0))
        FROM (
            SELECT count(*) FROM livingworld.request_keys k
            WHERE k.world_id = in_world_id AND k.scope_id = in_world_id AND k.request_key = ''
        ) place;
        wanted := wanted || in_world_id;
    END IF;
    SELECT array_agg(s.stream_id) INTO followed FROM livingworld.live_streams s
    WHERE s.world_id = in_world_id AND s.stream_id = ANY (wanted) AND s.followed_until > now();
    IF followed IS NULL THEN
        RETURN NULL;
    END IF;
    IF in_world_id = ANY (followed) THEN
        SELECT array_agg(in_world_id), array_agg('character created'::text),
               array_agg(jsonb_build_object('character_id', c.character_id)::text)
        INTO streams, kinds, details
        FROM jsonb_to_recordset(in_cast::jsonb) AS m (new_id uuid)
        CROSS JOIN LATERAL (
            SELECT c.character_id FROM livingworld.characters c
            WHERE c.world_id = in_world_id AND c.character_id = m.new_id OFFSET 0
        ) c;
    END IF;
    IF in_story_id = ANY (followed) THEN
        streams := streams || in_story_id;
        kinds := kinds || CASE in_status WHEN 'committed' THEN 'scene appended' ELSE 'generation chosen' END;
        details := details || (
            jsonb_build_object('scene_number', in_scene_number, 'branch_number', in_branch_number)
            || CASE in_status WHEN 'committed' THEN '{}' ELSE jsonb_build_object('generation_id', in_generation_id) END
        )::text;
    END IF;
    PERFORM livingworld.publish_events_v1(in_world_id, streams, kinds, details);
    RETURN followed;
END
$function$
