-- The name to show of the subject of facts: that of the character, or the word.
CREATE FUNCTION livingworld.name_of_subject_v1(
    in_world_id uuid,
    in_subject text                 -- as facts have it
) RETURNS text
LANGUAGE plpgsql
STABLE
AS $function$
BEGIN
    IF left(in_subject, 1) = '=' THEN
        RETURN substr(in_subject, 2);
    END IF;
    RETURN (
        SELECT c.name FROM livingworld.characters c
        WHERE c.world_id = in_world_id AND c.character_id = in_subject::uuid
    );
END
$function$
