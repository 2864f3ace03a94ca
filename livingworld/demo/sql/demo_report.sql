-- What the database holds after the demo, compared with the answers that the players got.
--
-- Nothing here relies on a constraint: numbers, tokens and texts are counted from the rows.
WITH acknowledged AS (
    SELECT given.token, given.story_id, given.scene_number, given.parent, given.digest
    FROM unnest(
        CAST(:tokens AS text[]), CAST(:story_ids AS uuid[]), CAST(:numbers AS integer[]), CAST(:parents AS integer[]),
        CAST(:digests AS text[])
    ) AS given (token, story_id, scene_number, parent, digest)
),
stored AS (
    SELECT s.story_id, s.scene_number, s.parent_scene_number, s.metadata ->> 'token' AS token,
           encode(sha256(convert_to(s.content, 'UTF8')), 'hex') AS digest
    FROM livingworld.scenes s
    WHERE s.world_id = CAST(:world_id AS uuid)
),
per_story AS (
    -- The counter on the story too: without it a missing last scene would not be counted.
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
    -- Acknowledged, but not stored under that number with that text.
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
    -- Stored, but not acknowledged.
    (
        SELECT count(*) FROM stored s
        WHERE NOT EXISTS (SELECT FROM acknowledged a WHERE a.token = s.token)
    ) AS unacknowledged,
    -- A scene was written for a head, and must follow it.
    (
        SELECT count(DISTINCT s.token) FROM stored s
        JOIN acknowledged a ON a.token = s.token AND a.story_id = s.story_id AND a.scene_number = s.scene_number
        WHERE coalesce(s.parent_scene_number, 0) <> a.parent
    ) AS stale_parents,
    -- Turns that did not end, and branches with a lease.
    (
        SELECT count(*) FROM livingworld.turns t WHERE t.world_id = CAST(:world_id AS uuid) AND t.state = 'running'
    ) + (
        SELECT count(*) FROM livingworld.turn_waiters w WHERE w.world_id = CAST(:world_id AS uuid)
    ) + (
        SELECT count(*) FROM livingworld.turn_leases l
        JOIN livingworld.branches b ON b.world_id = CAST(:world_id AS uuid) AND b.story_id = l.story_id
            AND b.branch_number = l.branch_number AND b.version = l.branch_version
        WHERE l.world_id = CAST(:world_id AS uuid) AND l.owner IS NOT NULL
    ) AS unfinished,
    -- Committed turns without the one generation of their scene.
    (
        SELECT count(*) FROM livingworld.turns t
        WHERE t.world_id = CAST(:world_id AS uuid) AND t.state = 'committed' AND 1 <> (
            SELECT count(*) FROM livingworld.generations g
            WHERE g.world_id = CAST(:world_id AS uuid) AND g.story_id = t.story_id AND g.request_key = t.request_key
                AND g.scene_number = t.scene_number
        )
    ) AS unshown,
    -- Scenes without their one fact and their one memory at their place.
    (
        SELECT count(*) FROM livingworld.scenes s
        WHERE s.world_id = CAST(:world_id AS uuid) AND (
            1 <> (
                SELECT count(*) FROM livingworld.facts f
                WHERE f.world_id = CAST(:world_id AS uuid) AND f.story_id = s.story_id AND f.scene_number = s.scene_number
                    AND f.timeline_number = s.timeline_number AND f.position = s.position AND f.archived_in IS NULL
                    AND f.value = s.metadata -> 'token'
            ) OR 1 <> (
                SELECT count(*) FROM livingworld.memories m
                WHERE m.world_id = CAST(:world_id AS uuid) AND m.story_id = s.story_id AND m.scene_number = s.scene_number
                    AND m.timeline_number = s.timeline_number AND m.position = s.position AND m.archived_in IS NULL
                    AND m.content = (s.metadata ->> 'token') || ' was written'
            )
        )
    ) AS unremembered,
    -- Characters beyond one for each person; a name that was never given counts too.
    (SELECT count(*) - count(DISTINCT person) FROM people) AS duplicate_characters,
    -- Characters that were returned for a name and are not stored, or are another person.
    (
        SELECT count(*)
        FROM unnest(CAST(:named_people AS text[]), CAST(:named_ids AS uuid[])) AS given (person, character_id)
        WHERE NOT EXISTS (
            SELECT FROM people p WHERE p.person = given.person AND p.character_id = given.character_id
        )
    ) AS misnamed
