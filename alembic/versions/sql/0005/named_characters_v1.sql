-- Return objects with the ids of the characters that they name: with source_key it gets source_id, and so on. A name that
-- no character has is an error of the constraint fk_character_names_known.
CREATE FUNCTION livingworld.named_characters_v1(
    in_world_id uuid,
    in_objects json,                -- an array
    in_ends text[]                  -- which characters an object has
) RETURNS text
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
DECLARE
    given record;
    ending text;
    id uuid;
    resolved jsonb := '[]';
BEGIN
    FOR given IN SELECT o.value::jsonb AS value FROM json_array_elements(in_objects) o LOOP
        FOREACH ending IN ARRAY in_ends LOOP
            CONTINUE WHEN given.value ->> (ending || '_key') IS NULL;
            SELECT n.character_id INTO id FROM livingworld.character_names n
            WHERE n.world_id = in_world_id AND n.name_key = given.value ->> (ending || '_key');
            IF NOT FOUND THEN
                RAISE EXCEPTION 'no character has the name'
                    USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'fk_character_names_known';
            END IF;
            given.value := given.value || jsonb_build_object(ending || '_id', id);
        END LOOP;
        resolved := resolved || given.value;
    END LOOP;
    RETURN resolved::text;
END
$function$
