-- What the database holds after the demo, against what the players were told.
--
-- Nothing here trusts a constraint: numbers, tokens and texts are counted as they stand in the tables.
WITH acknowledged AS (
    SELECT given.token, given.story_id, given.scene_number, given.digest
    FROM unnest(
        CAST(:tokens AS text[]), CAST(:story_ids AS uuid[]), CAST(:numbers AS integer[]), CAST(:digests AS text[])
    ) AS given (token, story_id, scene_number, digest)
),
stored AS (
    SELECT s.story_id, s.scene_number, s.parent_scene_number, s.metadata ->> 'token' AS token,
           encode(sha256(convert_to(s.content, 'UTF8')), 'hex') AS digest
    FROM livingworld.scenes s
    WHERE s.world_id = CAST(:world_id AS uuid)
),
per_story AS (
    -- The counter on the story too: else nobody would miss the last scene.
    SELECT count(s.scene_number) AS scenes, count(DISTINCT s.scene_number) AS numbers,
           greatest(t.last_scene_number, max(s.scene_number)) AS highest
    FROM livingworld.stories t
    LEFT JOIN stored s ON s.story_id = t.story_id
    WHERE t.world_id = CAST(:world_id AS uuid)
    GROUP BY t.story_id, t.last_scene_number
),
per_token AS (
    SELECT token, count(*) AS copies FROM stored GROUP BY token
),
people AS (
    SELECT c.character_id, given.person
    FROM livingworld.characters c
    LEFT JOIN unnest(CAST(:spellings AS text[]), CAST(:people AS text[])) AS given (spelling, person)
        ON given.spelling = c.name
    WHERE c.world_id = CAST(:world_id AS uuid)
)
SELECT
    (SELECT count(*) FROM stored) AS scenes_written,
    (SELECT coalesce(sum(scenes - numbers), 0) FROM per_story) AS duplicate_numbers,
    (SELECT coalesce(sum(highest - numbers), 0) FROM per_story) AS gaps,
    -- Acknowledged, but not there under that number with that text.
    (
        SELECT count(DISTINCT a.token) FROM acknowledged a
        WHERE NOT EXISTS (
            SELECT FROM stored s
            WHERE s.token = a.token AND s.story_id = a.story_id AND s.scene_number = a.scene_number
                AND s.digest = a.digest
        )
    ) AS lost,
    -- One request, several scenes.
    (SELECT coalesce(sum(copies - 1), 0) FROM per_token) AS doubled,
    -- There, but nobody was told so.
    (
        SELECT count(*) FROM stored s
        WHERE NOT EXISTS (SELECT FROM acknowledged a WHERE a.token = s.token)
    ) AS unacknowledged,
    -- Every scene was written onto the one before it, so each parent is the number before.
    (SELECT count(*) FROM stored WHERE coalesce(parent_scene_number, 0) <> scene_number - 1) AS stale_parents,
    -- Everybody beyond one character for each person; a name that nobody gave counts too.
    (SELECT count(*) - count(DISTINCT person) FROM people) AS duplicate_characters,
    -- Answered to a name, but not there, or not as that person.
    (
        SELECT count(*)
        FROM unnest(CAST(:named_people AS text[]), CAST(:named_ids AS uuid[])) AS told (person, character_id)
        WHERE NOT EXISTS (
            SELECT FROM people p WHERE p.person = told.person AND p.character_id = told.character_id
        )
    ) AS misnamed
