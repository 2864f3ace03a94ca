-- The subject that a reference names, as facts have it: = and a word, or the id of a character, whom the reference may name; see
-- referred_character_v1. No row: no character has the name. NULL is answered by one row with NULL.
CREATE FUNCTION livingworld.referred_subject_v1(
    in_world_id uuid,
    in_reference text
) RETURNS TABLE (subject text)
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
    IF left(in_reference, 1) = '=' THEN
        RETURN QUERY SELECT in_reference;
    ELSE
        RETURN QUERY
            SELECT c.character_id::text FROM livingworld.referred_character_v1(in_world_id, in_reference) c;
    END IF;
END
$function$
