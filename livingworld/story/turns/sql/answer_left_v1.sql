-- Return the generation that an earlier try of a turn left as an answer, for the next try at the same place with the same
-- input, or NULL. An answer to another input, to which others were merged that go their own way now, is offered no more.
CREATE FUNCTION livingworld.answer_left_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_request_key text,
    in_same_place boolean,
    in_same_input boolean
) RETURNS uuid
LANGUAGE plpgsql
AS $function$
DECLARE
    answered uuid;
BEGIN
    IF NOT in_same_input THEN
        UPDATE livingworld.generations g SET state = 'failed', error = 'the input changed'
        WHERE g.world_id = in_world_id AND g.request_key = in_request_key AND g.story_id = in_story_id
            AND g.state = 'answered';
    ELSIF in_same_place THEN
        SELECT g.generation_id INTO answered FROM livingworld.generations g
        WHERE g.world_id = in_world_id AND g.request_key = in_request_key AND g.story_id = in_story_id
            AND g.state = 'answered'
        ORDER BY g.attempt DESC LIMIT 1;
    END IF;
    RETURN answered;
END
$function$
