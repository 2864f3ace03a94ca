-- The characters that references name, as a JSON object of their ids by reference, and the first reference that no character
-- has; see referred_character_v1.
CREATE FUNCTION livingworld.named_characters_v1(
    in_world_id uuid,
    in_references text[]
) RETURNS TABLE (ids jsonb, unknown text)
LANGUAGE plpgsql
STABLE
ROWS 1
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
        SELECT coalesce(jsonb_object_agg(given.reference, found.character_id) FILTER (WHERE given.reference IS NOT NULL), '{}'),
               min(given.reference) FILTER (WHERE found.character_id IS NULL)
        FROM unnest(in_references) AS given (reference)
        LEFT JOIN LATERAL livingworld.referred_character_v1(in_world_id, given.reference) AS found ON true;
END
$function$
