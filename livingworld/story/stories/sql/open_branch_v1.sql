-- Open a branch for an alternative and return its number. It points nowhere yet. The caller holds the lock of the story.
CREATE FUNCTION livingworld.open_branch_v1(
    in_world_id uuid,
    in_story_id uuid,
    in_name text                    -- NULL: alternative n
) RETURNS integer
LANGUAGE plpgsql
AS $function$
DECLARE
    opened integer;
BEGIN
    UPDATE livingworld.stories s SET last_branch_number = s.last_branch_number + 1
    WHERE s.world_id = in_world_id AND s.story_id = in_story_id
    RETURNING s.last_branch_number INTO opened;
    INSERT INTO livingworld.branches (world_id, story_id, branch_number, name)
    VALUES (in_world_id, in_story_id, opened, coalesce(in_name, 'alternative ' || opened));
    RETURN opened;
END
$function$
