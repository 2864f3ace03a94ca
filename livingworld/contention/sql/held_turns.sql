-- The turns that are held now, and the request keys that wait in line for their branches, first come first.
SELECT
    l.world_id,
    l.story_id,
    l.branch_number,
    l.request_key,
    t.player,
    clock_timestamp() AS asked_at,
    l.taken_at,
    l.expires_at,
    ARRAY(
        SELECT w.request_key FROM livingworld.turn_waiters w
        WHERE w.world_id = l.world_id AND w.story_id = l.story_id AND w.branch_number = l.branch_number
            AND w.expires_at > clock_timestamp()
        GROUP BY w.request_key ORDER BY min(w.ticket) LIMIT 20
    ) AS line
FROM livingworld.turn_leases l
JOIN livingworld.branches b
    ON b.world_id = l.world_id AND b.story_id = l.story_id AND b.branch_number = l.branch_number
    AND b.version = l.branch_version
LEFT JOIN livingworld.turns t
    ON t.world_id = l.world_id AND t.story_id = l.story_id AND t.request_key = l.request_key
WHERE l.owner IS NOT NULL AND l.expires_at > clock_timestamp()
ORDER BY l.taken_at, l.world_id, l.story_id, l.branch_number
LIMIT :most
