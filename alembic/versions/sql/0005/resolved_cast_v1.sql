-- Resolve the names of a cast: its members as a JSON array of {character_id, name, role, importance} in the order of ids, and
-- those whose name no character has, as they were given. A character that is named twice, by two aliases, appears once, as it
-- was named first. Both are NULL without a cast. Unknown: it has an id that no character has.
CREATE FUNCTION livingworld.resolved_cast_v1(
    in_world_id uuid,
    in_cast text                    -- a JSON array of {character_id, role, importance}, or name_key in place of the id
) RETURNS TABLE (cast_members text, newcomers text, unknown boolean)
LANGUAGE sql
STABLE
BEGIN ATOMIC
    SELECT json_agg(json_build_object('character_id', c.character_id, 'name', c.name, 'role', c.given -> 'role',
                                      'importance', c.given -> 'importance')
                    ORDER BY c.character_id) FILTER (WHERE c.character_id IS NOT NULL)::text,
           json_agg(c.given) FILTER (WHERE c.character_id IS NULL)::text,
           bool_or(c.character_id IS NOT NULL AND c.name IS NULL)
    FROM (
        SELECT DISTINCT ON (coalesce(named.character_id::text, named.given ->> 'name_key'))
               named.character_id, named.given, shown.name
        FROM (
            SELECT asked.given, asked.place, coalesce(asked.character_id, n.character_id) AS character_id
            FROM (
                SELECT e.given, e.place, e.given ->> 'name_key' AS name_key,
                       (e.given ->> 'character_id')::uuid AS character_id
                FROM json_array_elements(in_cast::json) WITH ORDINALITY AS e (given, place)
                -- By themselves: with row-level security no index is gone down by what a function or a cast gives.
                OFFSET 0
            ) asked
            LEFT JOIN LATERAL (
                SELECT n.character_id FROM livingworld.character_names n
                WHERE n.world_id = in_world_id AND n.name_key = asked.name_key OFFSET 0
            ) n ON true
            OFFSET 0
        ) named
        LEFT JOIN LATERAL (
            SELECT c.name FROM livingworld.characters c
            WHERE c.world_id = in_world_id AND c.character_id = named.character_id OFFSET 0
        ) shown ON true
        ORDER BY coalesce(named.character_id::text, named.given ->> 'name_key'), named.place
    ) c
    WHERE in_cast IS NOT NULL;
END
