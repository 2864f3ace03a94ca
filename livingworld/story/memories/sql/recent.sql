-- The newest memories at a viewpoint ($1 to $4: world, story, branch, scene), for character $5, of the kinds $6 and
-- not $7, only its own ($8), number $9.
SELECT m.memory_id, m.story_id, m.content, m.character_id, m.kind, m.private, m.importance, m.valence, m.scene_number,
       m.consolidated_into, m.forgotten_at, m.version, m.created_at, m.updated_at
FROM (
    SELECT seen.memory_id, seen.position
    FROM livingworld.story_place_v1($1::uuid, $2::uuid, $3::integer, $4::integer) AS place
    CROSS JOIN LATERAL livingworld.referred_character_v1($1, $5) AS who
    CROSS JOIN LATERAL livingworld.visible_memories_v1(
        $1, $2, place.timeline_number, place.position, who.character_id, $6::text[], 0, $9::integer, $7::text[],
        $8::boolean
    ) AS seen
    ORDER BY seen.position DESC, seen.memory_id DESC LIMIT $9::integer
) AS newest
CROSS JOIN LATERAL (
    SELECT * FROM livingworld.memories AS m WHERE m.world_id = $1 AND m.memory_id = newest.memory_id OFFSET 0
) AS m
ORDER BY newest.position DESC, newest.memory_id DESC
