-- Recompute what the changes of a relationship led to, from a place on: at it, and on every path that continues from it.
-- Usually that is the one change just written; more after a head was moved back. A first value counts where no change comes
-- before it. The caller holds the lock of the story.
CREATE FUNCTION livingworld.refold_relationship_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_source_id uuid,
    in_target_id uuid,
    in_timeline integer,
    in_position integer,
    in_scene_number integer         -- the scene there; 0: before the first
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
    change record;
    prior record;
    goes_on boolean;
    counts boolean;
BEGIN
    -- Usually nothing follows, and then the length of the story does not matter.
    SELECT in_scene_number = 0 OR EXISTS (
        SELECT FROM livingworld.scenes s
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.parent_scene_number = in_scene_number
    ) INTO goes_on;
    FOR change IN
        SELECT c.timeline_number, c.position, c.version, c.is_first
        FROM livingworld.relationship_changes c
        WHERE c.world_id = in_world_id AND c.story_id = in_story_id AND c.source_id = in_source_id
            AND c.target_id = in_target_id AND c.timeline_number = in_timeline AND c.position = in_position
            AND c.archived_in IS NULL
        UNION ALL
        SELECT c.timeline_number, c.position, c.version, c.is_first
        FROM livingworld.relationship_changes c
        WHERE goes_on AND c.world_id = in_world_id AND c.story_id = in_story_id AND c.source_id = in_source_id
            AND c.target_id = in_target_id AND c.position > in_position AND c.archived_in IS NULL
            AND (c.timeline_number = in_timeline OR in_position = 0 OR EXISTS (
                SELECT FROM livingworld.timeline_lineage l
                WHERE l.world_id = in_world_id AND l.story_id = in_story_id AND l.timeline_number = c.timeline_number
                    AND l.owner_timeline = in_timeline AND in_position BETWEEN l.from_position AND l.to_position
            ))
        ORDER BY 2, 3
    LOOP
        SELECT p.sentiment, p.trust, p.familiarity, p.kind, p.notes, p.changes INTO prior
        FROM livingworld.last_relationship_v1(
            in_world_id, in_story_id, in_source_id, in_target_id, change.timeline_number, change.position, change.version
        ) p;
        counts := prior.changes IS NULL OR NOT change.is_first;
        UPDATE livingworld.relationship_changes c
        SET sentiment = greatest(-1, least(1, coalesce(prior.sentiment, 0) + CASE WHEN counts THEN c.sentiment_delta ELSE 0 END)),
            trust = greatest(-1, least(1, coalesce(prior.trust, 0) + CASE WHEN counts THEN c.trust_delta ELSE 0 END)),
            familiarity = greatest(0, least(1, coalesce(prior.familiarity, 0)
                                               + CASE WHEN counts THEN c.familiarity_delta ELSE 0 END)),
            kind = nullif(coalesce(CASE WHEN counts THEN c.kind_given END, prior.kind), ''),
            notes = nullif(coalesce(CASE WHEN counts THEN c.notes_given END, prior.notes), ''),
            changes = coalesce(prior.changes, 0) + 1
        WHERE c.world_id = in_world_id AND c.story_id = in_story_id AND c.source_id = in_source_id
            AND c.target_id = in_target_id AND c.timeline_number = change.timeline_number
            AND c.position = change.position AND c.version = change.version;
    END LOOP;
END
$function$
