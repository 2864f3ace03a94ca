-- Keep the generations that commit_turns_v1 commits: with the scene that shows it, or with its text where a scene is to be
-- regenerated. What turn.record has stored before stays where nothing newer is known. The caller holds the locks of the
-- stories.
CREATE FUNCTION livingworld.keep_generations_v1(
    in_world_id uuid,
    in_places integer[],            -- the places in the arrays below of those to keep
    in_answers text[],
    in_numbers integer[],
    in_attempts integer[],
    in_story_ids uuid[],            -- from here on these are the arguments of commit_turns_v1, but for the cast
    in_request_keys text[],
    in_owners uuid[],
    in_contents text[],
    in_locations text[],
    in_story_times text[],
    in_metadata text[],
    in_raw_responses text[],
    in_choices text[],
    in_cast text[],                 -- names resolved
    in_generations text[]
) RETURNS void
LANGUAGE plpgsql
AS $function$
BEGIN
    INSERT INTO livingworld.generations AS g
        (world_id, generation_id, story_id, request_key, attempt, state, scene_number, model, script_version,
         parameters, prompt_digest, raw_response, parsed, input_tokens, output_tokens, duration_ms)
    SELECT in_world_id, in_owners[p], in_story_ids[p], in_request_keys[p], in_attempts[p], 'complete',
           CASE WHEN in_answers[p] = 'committed' THEN in_numbers[p] END,
           d.model, d.script_version, coalesce(d.parameters, '{}'), decode(d.prompt_digest, 'hex'), in_raw_responses[p],
           CASE WHEN in_answers[p] = 'regenerated' THEN jsonb_build_object(
               'content', in_contents[p], 'location', in_locations[p], 'story_time', in_story_times[p],
               'metadata', coalesce(in_metadata[p], '{}')::jsonb, 'choices', to_jsonb(coalesce(in_choices[p], '{}')::text[]),
               'cast', coalesce((
                   SELECT jsonb_agg(m.value - 'name' ORDER BY m.value ->> 'character_id')
                   FROM jsonb_array_elements(in_cast[p]::jsonb) m
               ), '[]')
           ) END,
           d.input_tokens, d.output_tokens, d.duration_ms
    FROM unnest(in_places) p
    LEFT JOIN LATERAL jsonb_to_record(in_generations[p]::jsonb) AS d (
        model text, script_version text, parameters jsonb, prompt_digest text, input_tokens integer,
        output_tokens integer, duration_ms integer
    ) ON true
    WHERE in_answers[p] IN ('committed', 'regenerated')
    ON CONFLICT ON CONSTRAINT pk_generations DO UPDATE
    SET state = excluded.state, scene_number = excluded.scene_number, parsed = excluded.parsed, error = NULL,
        model = coalesce(excluded.model, g.model), script_version = coalesce(excluded.script_version, g.script_version),
        parameters = CASE WHEN excluded.parameters = '{}' THEN g.parameters ELSE excluded.parameters END,
        prompt_digest = coalesce(excluded.prompt_digest, g.prompt_digest),
        raw_response = coalesce(excluded.raw_response, g.raw_response),
        input_tokens = coalesce(excluded.input_tokens, g.input_tokens),
        output_tokens = coalesce(excluded.output_tokens, g.output_tokens),
        duration_ms = coalesce(excluded.duration_ms, g.duration_ms);
END
$function$
