-- Keep the text of a scene that no turn has made as a generation, under a turn of its own. A scene that shows a generation,
-- and NULL, stay as they are. The caller holds the lock of the story.
CREATE FUNCTION livingworld.keep_scene_text_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_scene_number integer,
    in_branch_number integer,
    in_request_key text,            -- of that turn
    in_generation_id uuid
) RETURNS void
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
    scene record;
BEGIN
    SELECT s.parent_scene_number, s.chosen_choice, s.raw_response INTO scene FROM livingworld.scenes s
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = in_scene_number;
    IF NOT FOUND OR EXISTS (
        SELECT FROM livingworld.generations g
        WHERE g.world_id = in_world_id AND g.story_id = in_story_id AND g.scene_number = in_scene_number
    ) THEN
        RETURN;
    END IF;
    INSERT INTO livingworld.turns
        (world_id, story_id, request_key, request_hash, state, branch_number, base_scene_number, choice, origin_key, token,
         scene_number, created_at)
    VALUES (in_world_id, in_story_id, in_request_key, decode(repeat('00', 32), 'hex'), 'committed', in_branch_number,
            scene.parent_scene_number, scene.chosen_choice, in_request_key, 0, in_scene_number, clock_timestamp())
    ON CONFLICT ON CONSTRAINT pk_turns DO NOTHING;
    INSERT INTO livingworld.generations
        (world_id, generation_id, story_id, request_key, attempt, state, scene_number, raw_response)
    VALUES (in_world_id, in_generation_id, in_story_id, in_request_key, 1, 'complete', in_scene_number, scene.raw_response);
END
$function$
