-- The character that a reference names: its id, or @ and the key of one of its names. No row: no character has it. NULL is
-- answered by one row with NULL, so that a statement may be asked about one character or about all.
CREATE FUNCTION livingworld.referred_character_v1(
    in_world_id uuid,
    in_reference text
) RETURNS TABLE (character_id uuid)
LANGUAGE plpgsql
STABLE
ROWS 1
AS $function$
#variable_conflict use_column
BEGIN
    IF in_reference IS NULL THEN
        RETURN QUERY SELECT NULL::uuid;
    ELSIF left(in_reference, 1) = '@' THEN
        RETURN QUERY
            SELECT n.character_id FROM livingworld.character_names n
            WHERE n.world_id = in_world_id AND n.name_key = substr(in_reference, 2);
    ELSE
        RETURN QUERY
            SELECT c.character_id FROM livingworld.characters c
            WHERE c.world_id = in_world_id AND c.character_id = in_reference::uuid;
    END IF;
END
$function$
