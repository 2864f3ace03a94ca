-- What is felt on the path to a place: the last change of each relationship, in the order of ids.
CREATE FUNCTION livingworld.visible_relationships_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_timeline integer,
    in_position integer,
    in_source_id uuid,              -- NULL: of all characters
    in_target_id uuid               -- NULL: toward all characters
) RETURNS SETOF livingworld.relationship_changes
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
AS $function$
BEGIN
    RETURN QUERY
        SELECT c.* FROM livingworld.relationships r
        CROSS JOIN LATERAL livingworld.last_relationship_v1(
            in_world_id, in_story_id, r.source_id, r.target_id, in_timeline, in_position, NULL
        ) c
        WHERE r.world_id = in_world_id AND r.story_id = in_story_id
            AND r.source_id = coalesce(in_source_id, r.source_id)
            AND r.target_id = coalesce(in_target_id, r.target_id)
        ORDER BY r.source_id, r.target_id;
END
$function$
