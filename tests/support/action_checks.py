"""What must be true of lanes and their actions, asked of PostgreSQL."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from livingworld.testing.staged_races import connected

#: Each statement finds what breaks one promise, and is empty when all is well.
_PROMISES: Final = {
    "a lane counts what waits in it": """
        SELECT l.lane FROM livingworld.lanes l WHERE l.world_id = $1 AND l.waiting <> (
            SELECT count(*) FROM livingworld.actions a
            WHERE a.world_id = l.world_id AND a.lane = l.lane AND a.state = 'waiting'
        )
    """,
    "a lane says until when something runs in it": """
        SELECT l.lane FROM livingworld.lanes l WHERE l.world_id = $1 AND l.running_until IS DISTINCT FROM (
            SELECT least(a.claimed_until, a.deadline) FROM livingworld.actions a
            WHERE a.world_id = l.world_id AND a.lane = l.lane AND a.state = 'running'
        )
    """,
    "a lane names the head of what is due, or wakes for it": """
        SELECT l.lane FROM livingworld.lanes l
        LEFT JOIN LATERAL (
            SELECT a.priority, a.created_at FROM livingworld.actions a
            WHERE a.world_id = l.world_id AND a.lane = l.lane AND a.state = 'waiting'
                AND coalesce(a.not_before, a.created_at) <= clock_timestamp()
            ORDER BY a.priority DESC, a.number LIMIT 1
        ) AS head ON true
        WHERE l.world_id = $1 AND (l.head_priority, l.head_created_at) IS DISTINCT FROM (head.priority, head.created_at)
            AND (l.wakes_at IS NULL OR l.wakes_at > clock_timestamp())
    """,
    "no number is above the lane's last one": """
        SELECT a.action_id FROM livingworld.actions a JOIN livingworld.lanes l USING (world_id, lane)
        WHERE a.world_id = $1 AND l.last_number < greatest(
            a.number, a.ended_number, (SELECT max(n) FROM unnest(a.started_numbers || a.stopped_numbers) AS n)
        )
    """,
    "an action stops as often as it starts, or runs": """
        SELECT action_id FROM livingworld.actions
        WHERE world_id = $1
            AND cardinality(started_numbers) - cardinality(stopped_numbers) <> (state = 'running')::integer
    """,
}


#: An hour goes by for what runs or waits, and for the lanes that say until when.
AN_HOUR_LATER: Final = """
    UPDATE livingworld.actions SET not_before = not_before - interval '1 hour',
        claimed_until = claimed_until - interval '1 hour', deadline = deadline - interval '1 hour'
    WHERE ended_at IS NULL;
    UPDATE livingworld.lanes
    SET running_until = running_until - interval '1 hour', wakes_at = wakes_at - interval '1 hour'
"""


async def an_hour_goes_by(url: str) -> None:
    """Let claims, deadlines and pauses end that would have ended by then."""
    async with connected(url) as connection:
        await connection.execute(AN_HOUR_LATER)


async def broken_lanes(url: str, world_id: UUID) -> list[str]:
    """Return each promise that the lanes of a world break."""
    async with connected(url) as connection:
        found = {promise: await connection.fetch(statement, world_id) for promise, statement in _PROMISES.items()}
    return [f"{promise}: {[tuple(row) for row in rows]}" for promise, rows in found.items() if rows]
