-- Create characters for names that no character had when the caller looked, and return the character of each: an array of
-- {character_id, name, role, importance} in the order of ids. Called by commit_turns_v1, under the lock of a story, which comes
-- before characters in the order of locks.
CREATE FUNCTION livingworld.make_characters_v1(
    in_world_id uuid,
    in_newcomers json               -- an array of {name, name_key, lock_key, new_id, card, role, importance}
) RETURNS jsonb
LANGUAGE plpgsql
AS $function$
DECLARE
    newcomer record;
BEGIN
    FOR newcomer IN
        SELECT n.* FROM json_to_recordset(in_newcomers) AS n (
            name text, name_key text, lock_key bigint, new_id uuid, card jsonb
        )
        ORDER BY n.lock_key  -- the order in which all lock names
    LOOP
        -- The lock saves work; the primary key of character_names decides.
        -- On the node that holds the world, see publish_events_v1.
        PERFORM pg_advisory_xact_lock(newcomer.lock_key) FROM (
            SELECT count(*) FROM livingworld.request_keys k
            WHERE k.world_id = in_world_id AND k.scope_id = in_world_id AND k.request_key = ''
        ) place;
        IF NOT EXISTS (
            SELECT FROM livingworld.character_names n
            WHERE n.world_id = in_world_id AND n.name_key = newcomer.name_key
        ) THEN
            INSERT INTO livingworld.characters (world_id, character_id, name, card)
            VALUES (in_world_id, newcomer.new_id, newcomer.name, coalesce(newcomer.card, '{}'));
            INSERT INTO livingworld.character_names (world_id, name_key, character_id, name)
            VALUES (in_world_id, newcomer.name_key, newcomer.new_id, newcomer.name)
            ON CONFLICT ON CONSTRAINT pk_character_names DO NOTHING;
            IF NOT FOUND THEN
                -- The name was taken without its lock.
                DELETE FROM livingworld.characters c
                WHERE c.world_id = in_world_id AND c.character_id = newcomer.new_id;
            END IF;
        END IF;
    END LOOP;
    RETURN (
        SELECT jsonb_agg(jsonb_build_object('character_id', n.character_id, 'name', n.name, 'role', g.role,
                                            'importance', g.importance)
                         ORDER BY n.character_id)
        FROM json_to_recordset(in_newcomers) AS g (name_key text, role text, importance double precision)
        CROSS JOIN LATERAL (
            SELECT c.character_id, c.name FROM livingworld.character_names n
            JOIN livingworld.characters c ON c.world_id = in_world_id AND c.character_id = n.character_id
            WHERE n.world_id = in_world_id AND n.name_key = g.name_key OFFSET 0
        ) n
    );
END
$function$
