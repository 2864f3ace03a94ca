-- Store what became true in a scene that a turn has brought. The caller holds the lock of the story.
CREATE FUNCTION livingworld.write_turn_state_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_scene_number integer,
    in_state text                   -- {characters, facts, relationships, memories}: references to all characters of it, and
                                    -- what the write functions take
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
    state json := in_state::json;
    at record;
    named record;
BEGIN
    SELECT s.timeline_number AS timeline, s.position INTO at FROM livingworld.scenes s
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = in_scene_number;
    SELECT n.ids, n.unknown INTO named FROM livingworld.named_characters_v1(
        in_world_id, ARRAY(SELECT json_array_elements_text(state -> 'characters'))
    ) n;
    IF named.unknown IS NOT NULL THEN
        RAISE EXCEPTION 'no character has the name: "fk_characters_known"'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'fk_characters_known', DETAIL = named.unknown;
    END IF;
    PERFORM livingworld.write_facts_v1(
        in_world_id, in_story_id, at.timeline, at.position, in_scene_number, (state -> 'facts')::text, named.ids
    );
    PERFORM livingworld.write_relationships_v1(
        in_world_id, in_story_id, at.timeline, at.position, in_scene_number, (state -> 'relationships')::text, named.ids
    );
    PERFORM livingworld.write_memories_v1(
        in_world_id, in_story_id, at.timeline, at.position, in_scene_number, (state -> 'memories')::text, named.ids
    );
END
$function$
