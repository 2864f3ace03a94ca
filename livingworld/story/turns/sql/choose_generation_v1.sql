-- Choose a generation: make it the scene at its place.
--
-- When the scene that stands there is the head of the branch and nothing depends on it, its text is replaced: the
-- old one stays a generation and a revision. When something depends on it, a scene beside it is stored and the branch goes
-- there. When the branch has gone on from it, the new scene gets a branch of its own.
CREATE FUNCTION livingworld.choose_generation_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_generation_id uuid,
    in_branch_number integer,       -- NULL: the story's current branch
    in_branch_name text,            -- of the branch that is made when one is needed; NULL: alternative n
    in_expected_head integer,       -- NULL: wherever the branch stands
    in_new_id uuid                  -- of the generation that keeps the text of a scene that has none
) RETURNS TABLE (
    status text,                    -- chosen, replayed, or why it was refused
    scene_number integer,           -- when refused as stale: where the branch stands
    branch_number integer,
    holder_key text,                -- the turn that was held at the branch and is lost; NULL: none was
    next_key text                   -- the request whose turn has come; NULL: none waits
)
LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
    story record;
    branch record;
    chosen record;
    turn record;
    target record;
    appended record;
    parent integer;
    taken integer;
BEGIN
    IF livingworld.lock_stories_v1(in_world_id, true, ARRAY[in_story_id]) IS NULL THEN
        RETURN QUERY SELECT 'story_not_found', NULL::integer, NULL::integer, NULL::text, NULL::text;
        RETURN;
    END IF;
    SELECT s.archived_at, s.current_branch INTO story FROM livingworld.stories s
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id;
    SELECT g.* INTO chosen FROM livingworld.generations g
    WHERE g.world_id = in_world_id AND g.generation_id = in_generation_id AND g.story_id = in_story_id;
    SELECT t.* INTO turn FROM livingworld.turns t
    WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = chosen.request_key;
    SELECT b.* INTO branch FROM livingworld.branches b
    WHERE b.world_id = in_world_id AND b.story_id = in_story_id
        -- Not coalesce, by which no index is gone down in a database that shows one world only.
        AND b.branch_number = CASE WHEN in_branch_number IS NULL THEN story.current_branch ELSE in_branch_number END;
    status := CASE
        WHEN chosen.generation_id IS NULL THEN 'generation_not_found'
        WHEN story.archived_at IS NOT NULL THEN 'archived'
        WHEN branch.branch_number IS NULL THEN 'branch_not_found'
        WHEN chosen.parsed IS NULL AND chosen.scene_number IS NULL THEN 'generation_incomplete'
        WHEN chosen.scene_number IS NOT NULL THEN 'replayed'
        WHEN in_expected_head <> coalesce(branch.head_scene_number, 0) THEN 'stale_head'
    END;
    IF status IS NOT NULL THEN
        scene_number := CASE WHEN status = 'stale_head' THEN branch.head_scene_number ELSE chosen.scene_number END;
        branch_number := branch.branch_number;
        RETURN NEXT;
        RETURN;
    END IF;

    -- The scene that stands at the place: rather the head of the branch than another one.
    SELECT s.* INTO target
    FROM (
        SELECT g.scene_number
        FROM (
            SELECT turn.origin_key AS request_key
            UNION ALL
            SELECT t.request_key FROM livingworld.turns t
            WHERE t.world_id = in_world_id AND t.origin_key = turn.origin_key AND t.story_id = in_story_id
                AND t.regenerates IS NOT NULL
        ) t
        CROSS JOIN LATERAL (
            SELECT g.scene_number FROM livingworld.generations g
            WHERE g.world_id = in_world_id AND g.request_key = t.request_key AND g.story_id = in_story_id
                AND g.scene_number IS NOT NULL OFFSET 0
        ) g
        UNION
        SELECT turn.regenerates WHERE turn.regenerates IS NOT NULL
    ) place
    CROSS JOIN LATERAL (
        SELECT * FROM livingworld.scenes s
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.scene_number = place.scene_number OFFSET 0
    ) s
    ORDER BY s.scene_number = branch.head_scene_number DESC, s.scene_number LIMIT 1;
    parent := CASE WHEN target.scene_number IS NULL THEN turn.base_scene_number ELSE target.parent_scene_number END;

    PERFORM livingworld.keep_scene_text_v1(
        in_world_id, in_story_id, target.scene_number, branch.branch_number, turn.origin_key, in_new_id
    );

    IF branch.head_scene_number = target.scene_number AND NOT EXISTS (
        SELECT FROM livingworld.scenes s
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.parent_scene_number = target.scene_number
    ) AND NOT EXISTS (
        SELECT FROM livingworld.branches b
        WHERE b.world_id = in_world_id AND b.story_id = in_story_id AND b.head_scene_number = target.scene_number
            AND b.branch_number <> branch.branch_number
    ) THEN
        PERFORM livingworld.replace_scene_v1(
            in_world_id, in_story_id, target.scene_number, in_generation_id, branch.branch_number
        );
        taken := target.scene_number;
    ELSE
        IF branch.head_scene_number IS DISTINCT FROM coalesce(target.scene_number, parent) THEN
            branch_number := livingworld.open_branch_v1(in_world_id, in_story_id, in_branch_name);
        ELSE
            branch_number := branch.branch_number;
        END IF;
        PERFORM livingworld.move_head_v1(in_world_id, in_story_id, branch_number, parent);
        SELECT a.status, a.scene_number INTO appended FROM livingworld.append_scenes_v1(
            in_world_id, true, false, ARRAY[in_story_id], ARRAY[choose_generation_v1.branch_number], NULL,
            ARRAY[chosen.parsed ->> 'content'],
            ARRAY[CASE WHEN target.scene_number IS NULL THEN turn.choice ELSE target.chosen_choice END],
            ARRAY[chosen.parsed ->> 'location'], ARRAY[chosen.parsed ->> 'story_time'],
            ARRAY[(chosen.parsed -> 'metadata')::text], ARRAY[chosen.raw_response],
            ARRAY[ARRAY(SELECT jsonb_array_elements_text(chosen.parsed -> 'choices'))::text],
            ARRAY[(chosen.parsed -> 'cast')::text], NULL, NULL,
            ARRAY[CASE WHEN turn.token > 0 THEN turn.request_key END]
        ) a;
        IF appended.status <> 'appended' THEN
            RAISE EXCEPTION 'append_scenes_v1 answered %', appended.status USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        taken := appended.scene_number;
    END IF;

    UPDATE livingworld.generations g SET scene_number = taken, parsed = NULL, state = 'complete', error = NULL
    WHERE g.world_id = in_world_id AND g.generation_id = in_generation_id;
    PERFORM livingworld.restore_state_v1(in_world_id, in_story_id, in_generation_id, taken);
    RETURN QUERY
        SELECT 'chosen', taken, coalesce(branch_number, branch.branch_number), (
            SELECT l.request_key FROM livingworld.turn_leases l
            WHERE l.world_id = in_world_id AND l.story_id = in_story_id AND l.branch_number = branch.branch_number
        ), livingworld.next_in_line_v1(in_world_id, in_story_id, branch.branch_number, clock_timestamp());
END
$function$
