-- Up to $3 characters of world $1 without a vector of the embedder $2 of their newest version; not those that stand in $4.
SELECT c.character_id, c.version, c.name, c.card
FROM livingworld.characters AS c
LEFT JOIN livingworld.character_vectors AS v
    ON v.world_id = $1::uuid AND v.character_id = c.character_id AND v.embedder = $2::text
WHERE c.world_id = $1::uuid AND (v.version IS NULL OR v.version < c.version) AND c.character_id <> ALL ($4::uuid[])
ORDER BY c.character_id LIMIT $3::integer
