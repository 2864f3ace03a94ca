-- Resolve the names of a cast: its members as a JSON array of {character_id, role, importance} in the order of ids, and those
-- whose name no character has, as they were given. A character that is named twice, by two aliases, appears once, as it was
-- named first. Both are NULL without a cast.
CREATE FUNCTION livingworld.resolved_cast_v1(
    in_world_id uuid,
    in_cast text                    -- as commit_turns_v1 takes it
) RETURNS TABLE (cast_members text, newcomers text)
LANGUAGE sql
STABLE
AS $function$
    SELECT json_agg(json_build_object('character_id', c.character_id, 'role', c.role, 'importance', c.importance)
                    ORDER BY c.character_id) FILTER (WHERE c.character_id IS NOT NULL)::text,
           json_agg(c.given) FILTER (WHERE c.character_id IS NULL)::text
    FROM (
        SELECT DISTINCT ON (coalesce(named.character_id::text, named.given ->> 'name_key'))
               named.character_id, named.given, named.given ->> 'role' AS role,
               (named.given ->> 'importance')::double precision AS importance
        FROM (
            SELECT e.given, e.place, coalesce((e.given ->> 'character_id')::uuid, n.character_id) AS character_id
            FROM json_array_elements(in_cast::json) WITH ORDINALITY AS e (given, place)
            LEFT JOIN LATERAL (
                SELECT n.character_id FROM livingworld.character_names n
                WHERE n.world_id = in_world_id AND n.name_key = e.given ->> 'name_key' OFFSET 0
            ) n ON true
        ) named
        ORDER BY coalesce(named.character_id::text, named.given ->> 'name_key'), named.place
    ) c
    WHERE in_cast IS NOT NULL
$function$
