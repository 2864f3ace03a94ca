-- Erase what became true by texts that are gone: what is archived with these generations, and what stands in these scenes. Facts
-- lose their value, memories are removed with their vectors, and changes of relationships keep their numbers only. The caller
-- holds the lock of the story.
CREATE FUNCTION livingworld.erase_state_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_generations uuid[],          -- the former ids
    in_substitutes uuid[],          -- and the new ones, in the same order
    in_scenes integer[],
    OUT counts jsonb                -- rows by table
)
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
    found uuid[];
    changed integer;
    pair record;
BEGIN
    SELECT ARRAY(
        SELECT m.memory_id FROM livingworld.memories m
        WHERE m.world_id = in_world_id AND m.story_id = in_story_id AND m.position >= 0
            AND (m.archived_in = ANY (in_generations) OR m.scene_number = ANY (in_scenes))
        ORDER BY m.memory_id
    ) INTO found;
    DELETE FROM livingworld.memory_vectors v WHERE v.world_id = in_world_id AND v.memory_id = ANY (found);
    GET DIAGNOSTICS changed = ROW_COUNT;
    counts := jsonb_build_object('memory_vectors', changed);
    DELETE FROM livingworld.memory_embedding_jobs j WHERE j.world_id = in_world_id AND j.memory_id = ANY (found);
    GET DIAGNOSTICS changed = ROW_COUNT;
    counts := counts || jsonb_build_object('memory_embedding_jobs', changed);
    -- A summary that is gone stands for nothing: what it was made of is visible again.
    UPDATE livingworld.memories m SET consolidated_into = NULL, version = m.version + 1, updated_at = now()
    WHERE m.world_id = in_world_id AND m.consolidated_into = ANY (found);
    DELETE FROM livingworld.memories m WHERE m.world_id = in_world_id AND m.memory_id = ANY (found);
    GET DIAGNOSTICS changed = ROW_COUNT;
    counts := counts || jsonb_build_object('memories', changed);

    UPDATE livingworld.facts f
    SET value = NULL, archived_in = coalesce(
        (SELECT n.substitute FROM unnest(in_generations, in_substitutes) AS n (generation_id, substitute)
         WHERE n.generation_id = f.archived_in), f.archived_in)
    WHERE f.world_id = in_world_id AND f.story_id = in_story_id
        AND (f.archived_in = ANY (in_generations) OR f.scene_number = ANY (in_scenes));
    GET DIAGNOSTICS changed = ROW_COUNT;
    counts := counts || jsonb_build_object('facts', changed);

    UPDATE livingworld.relationship_changes c
    SET reason = NULL, kind_given = NULL, notes_given = NULL, kind = NULL, notes = NULL, archived_in = coalesce(
        (SELECT n.substitute FROM unnest(in_generations, in_substitutes) AS n (generation_id, substitute)
         WHERE n.generation_id = c.archived_in), c.archived_in)
    WHERE c.world_id = in_world_id AND c.story_id = in_story_id
        AND (c.archived_in = ANY (in_generations) OR c.scene_number = ANY (in_scenes));
    GET DIAGNOSTICS changed = ROW_COUNT;
    counts := counts || jsonb_build_object('relationship_changes', changed);
    -- Kind and notes are carried on to the changes that follow.
    FOR pair IN
        SELECT DISTINCT c.source_id, c.target_id FROM livingworld.relationship_changes c
        WHERE c.world_id = in_world_id AND c.story_id = in_story_id AND c.scene_number = ANY (in_scenes)
    LOOP
        PERFORM livingworld.refold_relationship_v1(in_world_id, in_story_id, pair.source_id, pair.target_id, 1, 0, 0);
    END LOOP;
END
$function$
