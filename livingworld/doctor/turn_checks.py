"""What may be wrong with turns, their leases and their queues."""

from __future__ import annotations

from typing import Final

from livingworld.doctor.world_check import STORY, WorldCheck

TURN_CHECKS: Final = (
    WorldCheck(
        name="turn_results_lost",
        find="""
            SELECT t.story_id, t.request_key, t.scene_number FROM (
                SELECT story_id, request_key, scene_number FROM livingworld.turns
                WHERE world_id = :world_id AND state = 'committed'
                UNION ALL
                SELECT k.scope_id, k.request_key, (k.result ->> 'scene_number')::integer
                FROM livingworld.request_keys k
                JOIN livingworld.stories s ON s.world_id = :world_id AND s.story_id = k.scope_id
                WHERE k.world_id = :world_id AND k.result ? 'scene_number'
            ) t
            WHERE NOT EXISTS (
                SELECT FROM livingworld.scenes c
                WHERE c.world_id = :world_id AND c.story_id = t.story_id AND c.scene_number = t.scene_number
            )
        """,
        wrong="A request was answered with a scene that does not exist.",
        meaning="The same request, sent again, is answered with an error instead of its scene.",
        repair="Refused: the scene is lost. Restore the story from a backup.",
    ),
    WorldCheck(
        name="turns_merged_nowhere",
        find="""
            SELECT t.story_id, t.request_key, t.merged_into FROM livingworld.turns t
            WHERE t.world_id = :world_id AND t.merged_into IS NOT NULL AND NOT EXISTS (
                SELECT FROM livingworld.turns o
                WHERE o.world_id = :world_id AND o.story_id = t.story_id AND o.request_key = t.merged_into
            )
        """,
        wrong="A turn was merged into one that does not exist.",
        meaning="The player's input is in no scene, and the same request never gets an answer.",
        repair="Refused: whether the input became a part of a scene is not known.",
    ),
    WorldCheck(
        name="turn_leases_expired",
        find="""
            SELECT l.story_id, l.branch_number, l.request_key, l.expires_at FROM livingworld.turn_leases l
            WHERE l.world_id = :world_id AND l.owner IS NOT NULL AND l.expires_at < now() - interval '1 hour'
        """,
        wrong="A turn is held by a process that has not renewed it for an hour.",
        meaning="The turn's scene never came. The branch looks busy until its next turn takes the place.",
        repair="Ends the turn as failed and frees the branch, as the next turn would.",
        root=STORY,
        statements=(
            """
            SELECT livingworld.end_turn_v1(
                :world_id, l.story_id, l.request_key, now()
            ) FROM livingworld.turn_leases l
            WHERE l.world_id = :world_id AND l.story_id = :story_id AND l.branch_number = :branch_number
                AND l.owner IS NOT NULL
            """,
            """
            UPDATE livingworld.turn_leases l
            SET owner = NULL, request_key = NULL, branch_version = NULL, taken_at = NULL, expires_at = NULL
            WHERE l.world_id = :world_id AND l.story_id = :story_id AND l.branch_number = :branch_number
                AND l.owner IS NOT NULL
            """,
        ),
    ),
    WorldCheck(
        name="turn_waiters_expired",
        find="""
            SELECT w.story_id, w.branch_number, count(*) AS waiters FROM livingworld.turn_waiters w
            WHERE w.world_id = :world_id AND w.expires_at < now() - interval '1 hour'
            GROUP BY w.story_id, w.branch_number
        """,
        wrong="Callers that are gone for an hour stand in the queue of a branch.",
        meaning="They are passed over, and cost each turn a look.",
        repair="Removes them from the queue.",
        root=STORY,
        statements=(
            """
            DELETE FROM livingworld.turn_waiters w
            WHERE w.world_id = :world_id AND w.story_id = :story_id AND w.branch_number = :branch_number
                AND w.expires_at < now() - interval '1 hour'
            """,
        ),
    ),
)
