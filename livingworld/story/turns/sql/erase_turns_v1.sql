-- Erase some of the turns of one player in a story: those that ran end, what waited leaves the line, and each is replaced by a
-- turn without a player, an input and an answer, under a new key. What such a turn cost stays, and so does its place.
--
-- The new key keeps late writers out: the answer and the calls of a model refer to a key that is gone. A turn of another player
-- that has words of hers, since her input was merged into it or it generates again what she asked for, gets a new key too while it
-- is no scene; one that became a scene loses these words. The caller holds the lock of the story.
CREATE FUNCTION livingworld.erase_turns_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_player text,
    in_limit integer,
    OUT gone text[],                -- the keys that are no more
    OUT branches integer[],         -- where a turn ended or left the line
    OUT numbers integer[],          -- the scenes that her turns led to or her words asked for, whatever they show now
    OUT shown integer[],            -- the scenes that show a text of her turns
    OUT generations uuid[],         -- the former ids of her generations
    OUT substitutes uuid[],         -- and their new ids, in the same order
    OUT counts jsonb                -- rows by table
)
LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
    own text[];
    said text[];
    leaders text[];
    left_lines text[];
    twins text[];
    erased integer[];
    changed integer;
BEGIN
    SELECT ARRAY(
        SELECT t.request_key FROM livingworld.turns t
        WHERE t.world_id = in_world_id AND t.player = in_player AND t.story_id = in_story_id
        ORDER BY t.created_at, t.request_key LIMIT in_limit
    ) INTO own;
    SELECT ARRAY(
        SELECT t.instruction FROM livingworld.turns t
        WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = ANY (own) AND t.instruction IS NOT NULL
    ) INTO said;
    SELECT ARRAY(
        SELECT DISTINCT t.merged_into FROM livingworld.turns t
        WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = ANY (own) AND t.merged_into IS NOT NULL
    ) INTO leaders;
    SELECT own || ARRAY(
        SELECT t.request_key FROM livingworld.turns t
        WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = ANY (leaders)
            AND t.request_key <> ALL (own) AND t.state <> 'committed'
    ) INTO gone;
    SELECT gone || ARRAY(
        SELECT t.request_key FROM livingworld.turns t
        WHERE t.world_id = in_world_id AND t.origin_key = ANY (own) AND t.story_id = in_story_id AND t.regenerates IS NOT NULL
            AND t.instruction = ANY (said) AND t.request_key <> ALL (gone) AND t.state <> 'committed'
    ) INTO gone;
    SELECT ARRAY(
        SELECT DISTINCT t.branch_number FROM livingworld.turns t
        WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = ANY (gone)
    ) INTO branches;
    PERFORM livingworld.end_turn_v1(in_world_id, in_story_id, g.request_key, clock_timestamp())
    FROM unnest(gone) AS g (request_key);

    -- Where such a request is alive, it finds that its place is gone and asks for another one.
    WITH lines AS (
        DELETE FROM livingworld.turn_waiters w
        WHERE w.world_id = in_world_id AND w.story_id = in_story_id
            AND (w.player = in_player OR w.request_key = ANY (gone) OR w.request_key = ANY (leaders)
                 OR w.instruction = ANY (said))
        RETURNING w.request_key, w.branch_number
    )
    SELECT array_agg(l.request_key), branches || array_agg(l.branch_number), count(*)
    INTO left_lines, branches, changed FROM lines l;
    counts := jsonb_build_object('turn_waiters', changed);
    UPDATE livingworld.turns t SET state = 'failed', merged_into = NULL, updated_at = now()
    WHERE t.world_id = in_world_id AND t.merged_into = ANY (left_lines) AND t.story_id = in_story_id
        AND t.request_key <> ALL (gone) AND t.merged_into <> ALL (gone);

    SELECT array_agg('erased:' || gen_random_uuid()) INTO twins FROM unnest(gone);
    INSERT INTO livingworld.turns
        (world_id, story_id, request_key, request_hash, state, branch_number, base_scene_number, player, choice, instruction,
         origin_key, regenerates, merged_into, attempts, token, scene_number, created_at)
    SELECT in_world_id, in_story_id, m.twin, decode(repeat('00', 32), 'hex'),
           CASE WHEN t.state = 'running' OR t.state = 'merged' AND leader.state IS NULL THEN 'failed' ELSE t.state END,
           t.branch_number, t.base_scene_number,
           nullif(t.player, in_player),
           CASE WHEN t.own_input IS NULL THEN t.choice ELSE (t.own_input ->> 'choice')::integer END,
           CASE WHEN t.player = in_player THEN NULL WHEN t.own_input IS NOT NULL THEN t.own_input ->> 'instruction'
                WHEN t.instruction <> ALL (said) THEN t.instruction END,
           coalesce((SELECT o.twin FROM unnest(gone, twins) AS o (request_key, twin) WHERE o.request_key = t.origin_key),
                    t.origin_key),
           t.regenerates, CASE WHEN t.state = 'merged' THEN leader.request_key END, t.attempts, t.token, t.scene_number,
           t.created_at
    FROM unnest(gone, twins) AS m (request_key, twin)
    CROSS JOIN LATERAL (
        SELECT * FROM livingworld.turns t
        WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = m.request_key OFFSET 0
    ) t
    LEFT JOIN LATERAL (
        SELECT l.state, l.request_key FROM livingworld.turns l
        WHERE l.world_id = in_world_id AND l.story_id = in_story_id AND l.request_key = t.merged_into
            AND l.request_key <> ALL (gone) AND l.state = 'committed' OFFSET 0
    ) leader ON true;
    WITH again AS (
        UPDATE livingworld.turns t
        SET origin_key = m.twin, instruction = CASE WHEN t.instruction <> ALL (said) THEN t.instruction END
        FROM unnest(gone, twins) AS m (request_key, twin)
        WHERE t.world_id = in_world_id AND t.origin_key = m.request_key AND t.story_id = in_story_id
            AND t.regenerates IS NOT NULL AND t.request_key <> ALL (gone)
        RETURNING t.scene_number
    )
    SELECT array_agg(a.scene_number) FILTER (WHERE a.scene_number IS NOT NULL) INTO numbers FROM again a;
    UPDATE livingworld.turns t SET merged_into = m.twin FROM unnest(gone, twins) AS m (request_key, twin)
    WHERE t.world_id = in_world_id AND t.merged_into = m.request_key AND t.story_id = in_story_id
        AND t.request_key <> ALL (gone);
    UPDATE livingworld.turns t
    SET choice = (t.own_input ->> 'choice')::integer, instruction = t.own_input ->> 'instruction', own_input = NULL
    WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = ANY (leaders)
        AND t.request_key <> ALL (gone) AND t.own_input IS NOT NULL;

    SELECT array_agg(g.generation_id), array_agg(gen_random_uuid()) INTO generations, substitutes
    FROM livingworld.generations g
    WHERE g.world_id = in_world_id AND g.request_key = ANY (gone) AND g.story_id = in_story_id;
    UPDATE livingworld.generations g
    SET request_key = m.twin, generation_id = n.substitute, raw_response = NULL, parsed = NULL, parameters = '{}',
        prompt_digest = NULL, state = CASE WHEN g.scene_number IS NULL THEN 'failed' ELSE g.state END,
        error = CASE WHEN g.scene_number IS NULL THEN 'erased' END
    FROM unnest(gone, twins) AS m (request_key, twin), unnest(generations, substitutes) AS n (generation_id, substitute)
    WHERE g.world_id = in_world_id AND g.request_key = m.request_key AND g.story_id = in_story_id
        AND g.generation_id = n.generation_id;
    GET DIAGNOSTICS changed = ROW_COUNT;
    counts := counts || jsonb_build_object('generations', changed);
    UPDATE livingworld.model_calls c
    SET request_key = m.twin, parameters = '{}', prompt = '[]', answer = NULL, error = NULL,
        generation_id = coalesce(
            (SELECT n.substitute FROM unnest(generations, substitutes) AS n (generation_id, substitute)
             WHERE n.generation_id = c.generation_id), c.generation_id)
    FROM unnest(gone, twins) AS m (request_key, twin)
    WHERE c.world_id = in_world_id AND c.story_id = in_story_id AND c.request_key = m.request_key;
    GET DIAGNOSTICS changed = ROW_COUNT;
    counts := counts || jsonb_build_object('model_calls', changed);

    WITH marked AS (
        UPDATE livingworld.scenes s SET turn_key = m.twin, raw_response = NULL
        FROM unnest(gone, twins) AS m (request_key, twin)
        WHERE s.world_id = in_world_id AND s.story_id = in_story_id AND s.turn_key = m.request_key
        RETURNING s.scene_number, m.request_key
    )
    SELECT array_agg(k.scene_number ORDER BY k.scene_number) INTO shown FROM marked k WHERE k.request_key = ANY (own);
    WITH removed AS (
        DELETE FROM livingworld.turns t
        WHERE t.world_id = in_world_id AND t.story_id = in_story_id AND t.request_key = ANY (gone)
        RETURNING t.scene_number
    )
    SELECT array_agg(DISTINCT r.scene_number) FILTER (WHERE r.scene_number IS NOT NULL), count(*)
    INTO erased, changed FROM removed r;
    numbers := ARRAY(SELECT DISTINCT n FROM unnest(numbers || erased || shown) n ORDER BY n);
    shown := coalesce(shown, '{}');
    counts := counts || jsonb_build_object('turns', changed);
    UPDATE livingworld.turn_leases l
    SET owner = NULL, request_key = NULL, branch_version = NULL, taken_at = NULL, expires_at = NULL
    WHERE l.world_id = in_world_id AND l.story_id = in_story_id AND l.request_key = ANY (gone);
END
$function$
