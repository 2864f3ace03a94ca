-- Who appears in story $2 of world $1, on any branch, after character $3, $4 of them: each one is found by one look into the
-- index of the cast, behind the one before, so a page costs the same in a story of any length.
WITH RECURSIVE member AS (
    SELECT first.character_id, first.scene_number, 1 AS place FROM (
        SELECT c.character_id, c.scene_number FROM livingworld.scene_cast AS c
        WHERE c.world_id = $1::uuid AND c.story_id = $2::uuid AND c.character_id > $3::uuid AND c.scene_number > 0
        ORDER BY c.character_id, c.scene_number LIMIT 1
    ) AS first
    UNION ALL
    SELECT behind.character_id, behind.scene_number, member.place + 1 FROM member
    CROSS JOIN LATERAL (
        SELECT c.character_id, c.scene_number FROM livingworld.scene_cast AS c
        WHERE c.world_id = $1::uuid AND c.story_id = $2::uuid AND c.character_id > member.character_id
            AND c.scene_number > 0
        ORDER BY c.character_id, c.scene_number LIMIT 1
    ) AS behind
    WHERE member.place < $4::integer
)
SELECT member.character_id, member.scene_number AS first_scene, latest.scene_number AS last_scene, named.name
FROM member
CROSS JOIN LATERAL (
    SELECT c.scene_number FROM livingworld.scene_cast AS c
    -- The last one up to the member is hers: asked for by equality, a planner without statistics reads all of hers.
    WHERE c.world_id = $1::uuid AND c.story_id = $2::uuid AND c.character_id <= member.character_id AND c.scene_number > 0
    ORDER BY c.character_id DESC, c.scene_number DESC LIMIT 1
) AS latest
CROSS JOIN LATERAL (
    SELECT n.name FROM livingworld.characters AS n
    WHERE n.world_id = $1::uuid AND n.character_id = member.character_id OFFSET 0
) AS named
ORDER BY member.character_id
