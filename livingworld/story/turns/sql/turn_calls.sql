-- The calls of turn $3 of story $2 in world $1, in the order in which they began.
SELECT c.* FROM livingworld.model_calls AS c
WHERE c.world_id = $1 AND c.story_id = $2 AND c.request_key = $3
ORDER BY c.call_id
