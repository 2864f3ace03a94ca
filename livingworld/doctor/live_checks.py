"""What may be wrong with live events, and with the clock by which rows are written."""

from __future__ import annotations

from typing import Final

from livingworld.doctor.world_check import STREAM, WorldCheck

LIVE_CHECKS: Final = (
    WorldCheck(
        name="stream_counters",
        find="""
            SELECT s.stream_id, s.last_number, max(e.event_number) AS event_number FROM livingworld.live_streams s
            JOIN livingworld.live_events e ON e.world_id = :world_id AND e.stream_id = s.stream_id
            WHERE s.world_id = :world_id GROUP BY s.stream_id, s.last_number
            HAVING max(e.event_number) > s.last_number
        """,
        wrong="The counter of a stream of live events is behind its events.",
        meaning="The next write of what is followed asks for a number that is taken, and fails each time.",
        repair="Sets the counter to the highest number that exists.",
        root=STREAM,
        statements=(
            """
            UPDATE livingworld.live_streams s SET last_number = :event_number
            WHERE s.world_id = :world_id AND s.stream_id = :stream_id
            """,
        ),
    ),
    WorldCheck(
        name="stream_gaps",
        find="""
            SELECT s.stream_id, s.kept_after, s.last_number, count(e.event_number) AS events
            FROM livingworld.live_streams s
            LEFT JOIN livingworld.live_events e ON e.world_id = :world_id AND e.stream_id = s.stream_id
                AND e.event_number BETWEEN s.kept_after + 1 AND s.last_number
            WHERE s.world_id = :world_id GROUP BY s.stream_id, s.kept_after, s.last_number
            HAVING count(e.event_number) <> s.last_number - s.kept_after
        """,
        wrong="Events that a stream promises to have are missing.",
        meaning="A follower passes over what happened and does not notice.",
        repair="Marks all up to the last missing event as forgotten: followers receive Missed.",
        root=STREAM,
        statements=(
            """
            UPDATE livingworld.live_streams s SET kept_after = (
                SELECT max(n) FROM generate_series(s.kept_after + 1, s.last_number) AS n
                WHERE NOT EXISTS (
                    SELECT FROM livingworld.live_events e
                    WHERE e.world_id = :world_id AND e.stream_id = :stream_id AND e.event_number = n
                )
            )
            WHERE s.world_id = :world_id AND s.stream_id = :stream_id
            """,
        ),
    ),
    WorldCheck(
        name="events_beyond_retention",
        find="""
            SELECT s.stream_id, count(*) AS events FROM livingworld.live_streams s
            JOIN livingworld.live_events e ON e.world_id = :world_id AND e.stream_id = s.stream_id
                AND e.event_number <= s.kept_after AND e.created_at < now() - interval '1 hour'
            WHERE s.world_id = :world_id GROUP BY s.stream_id
        """,
        wrong="Events that are beyond their retention for an hour are still stored.",
        meaning="No follower gets them; they take room and time.",
        repair="Removes them.",
        root=STREAM,
        statements=(
            """
            DELETE FROM livingworld.live_events e USING livingworld.live_streams s
            WHERE s.world_id = :world_id AND s.stream_id = :stream_id AND e.world_id = :world_id
                AND e.stream_id = :stream_id AND e.event_number <= s.kept_after
            """,
        ),
    ),
    WorldCheck(
        name="times_of_the_future",
        find="""
            SELECT o.kind, o.id, o.updated_at FROM (
                SELECT 'story' AS kind, story_id AS id, updated_at FROM livingworld.stories WHERE world_id = :world_id
                UNION ALL
                SELECT 'session', session_id, greatest(updated_at, heartbeat_at) FROM livingworld.sessions
                WHERE world_id = :world_id
            ) o WHERE o.updated_at > clock_timestamp() + interval '1 minute'
        """,
        wrong="A story or a session was last written in the future: the clock of the server was set back.",
        meaning="What is newest in a list is not, and leases of that time last too long.",
        repair="Refused: it ends when the clock has caught up. Let the server's clock be kept by NTP.",
    ),
)
