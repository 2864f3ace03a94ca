-- Stores samples of one world: $1 world_id, $2 a JSON array of them. One row comes out for each, in their order.
-- Sent twice, a sample is stored once. One whose model this world does not have is left out and says so.
WITH items AS MATERIALIZED (
    SELECT
        place,
        (item ->> 'id')::uuid AS sample_id,
        item ->> 'role' AS role,
        (item ->> 'model')::uuid AS model_id,
        item -> 'input' AS input,
        item -> 'output' AS output,
        item -> 'metadata' AS metadata
    FROM jsonb_array_elements($2::jsonb) WITH ORDINALITY AS given (item, place)
),
-- One look into the primary key for each model, however many models the planner believes in.
known AS MATERIALIZED (
    SELECT found.model_id, found.version
    FROM (SELECT DISTINCT items.model_id FROM items WHERE items.model_id IS NOT NULL) AS wanted
    CROSS JOIN LATERAL (
        SELECT m.model_id, m.version
        FROM livingworld.ai_models AS m
        WHERE m.world_id = $1 AND m.model_id = wanted.model_id
        LIMIT 1
    ) AS found
),
stored AS (
    INSERT INTO livingworld.training_samples
        (world_id, sample_id, role, model_id, model_version, input, output, metadata)
    SELECT $1, i.sample_id, i.role, i.model_id, k.version, i.input, i.output, i.metadata
    FROM items AS i LEFT JOIN known AS k ON k.model_id = i.model_id
    WHERE i.model_id IS NULL OR k.model_id IS NOT NULL
    ORDER BY i.sample_id
    ON CONFLICT (world_id, sample_id) DO NOTHING
)
SELECT i.sample_id, i.model_id, (i.model_id IS NULL OR k.model_id IS NOT NULL) AS stored
FROM items AS i LEFT JOIN known AS k ON k.model_id = i.model_id
ORDER BY i.place
