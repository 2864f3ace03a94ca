"""What may be wrong with documents, sessions, cycles, leases and lanes."""

from __future__ import annotations

from typing import Final

from livingworld.doctor.world_check import CYCLE, DOCUMENT, LANE, LEASE, SESSION, WorldCheck

COORDINATION_CHECKS: Final = (
    WorldCheck(
        name="document_versions_missing",
        find="""
            SELECT d.key, d.version, coalesce(max(v.version), 0) AS newest FROM livingworld.documents d
            LEFT JOIN livingworld.document_versions v ON v.world_id = :world_id AND v.key = d.key
            WHERE d.world_id = :world_id GROUP BY d.key, d.version
            HAVING coalesce(max(v.version), 0) = d.version - 1
        """,
        wrong="The version of a document is ahead of its history by one.",
        meaning="A merge that began with this version fails, and the value cannot be brought back later.",
        repair="Stores the value of now as that version.",
        root=DOCUMENT,
        statements=(
            """
            INSERT INTO livingworld.document_versions (world_id, key, version, value, created_at)
            SELECT d.world_id, d.key, d.version, d.value, d.updated_at FROM livingworld.documents d
            WHERE d.world_id = :world_id AND d.key = :key
            """,
        ),
    ),
    WorldCheck(
        name="document_history",
        find="""
            SELECT d.key, d.version, max(v.version) AS newest, count(v.version) AS versions
            FROM livingworld.documents d
            LEFT JOIN livingworld.document_versions v ON v.world_id = :world_id AND v.key = d.key
            WHERE d.world_id = :world_id GROUP BY d.key, d.version
            HAVING max(v.version) > d.version OR coalesce(max(v.version), 0) < d.version - 1
                OR count(v.version) <> coalesce(max(v.version), 0)
                OR bool_or(v.version = d.version AND v.value IS DISTINCT FROM d.value)
        """,
        wrong="The history of a document has gaps, is ahead of it, or ends with another value.",
        meaning="A reader of an earlier version gets nothing, or the next write asks for a version that is taken.",
        repair="Refused: which value belongs to which version is not known.",
    ),
    WorldCheck(
        name="session_counters",
        find="""
            SELECT s.session_id, s.last_interaction_number, max(i.interaction_number) AS interaction_number
            FROM livingworld.sessions s
            JOIN livingworld.interactions i ON i.world_id = :world_id AND i.session_id = s.session_id
            WHERE s.world_id = :world_id GROUP BY s.session_id, s.last_interaction_number
            HAVING max(i.interaction_number) > s.last_interaction_number
        """,
        wrong="The counter of a session is behind its interactions.",
        meaning="The next interaction asks for a number that is taken, and fails each time.",
        repair="Sets the counter to the highest number that exists.",
        root=SESSION,
        statements=(
            """
            UPDATE livingworld.sessions s SET last_interaction_number = :interaction_number
            WHERE s.world_id = :world_id AND s.session_id = :session_id
            """,
        ),
    ),
    WorldCheck(
        name="tasks_dead",
        find="""
            SELECT t.session_id, t.task_id, t.kind, t.when_owner_dies FROM livingworld.tasks t
            WHERE t.world_id = :world_id AND t.state = 'running'
                AND t.heartbeat_at + t.dead_after < now() - interval '1 hour'
        """,
        wrong="The owner of a task is dead for an hour, and no process has looked for such tasks.",
        meaning="No task of its kind begins in the session.",
        repair="Refused: another process may go on with it. Run `world.sessions.sweeping`.",
    ),
    WorldCheck(
        name="cycle_counters",
        find="""
            SELECT c.name, c.last_run_number, max(r.run_number) AS run_number FROM livingworld.cycles c
            JOIN livingworld.cycle_runs r ON r.world_id = :world_id AND r.name = c.name
            WHERE c.world_id = :world_id GROUP BY c.name, c.last_run_number
            HAVING max(r.run_number) > c.last_run_number
        """,
        wrong="The counter of a cycle is behind its runs.",
        meaning="The next run asks for a number that is taken, and fails each time.",
        repair="Sets the counter to the highest number that exists.",
        root=CYCLE,
        statements=(
            """
            UPDATE livingworld.cycles c SET last_run_number = :run_number
            WHERE c.world_id = :world_id AND c.name = :name
            """,
        ),
    ),
    WorldCheck(
        name="cycles_expired",
        find="""
            SELECT c.name, c.expires_at FROM livingworld.cycles c
            WHERE c.world_id = :world_id AND c.owner IS NOT NULL AND c.expires_at < now() - interval '1 hour'
        """,
        wrong="A cycle is held by a process that has not renewed it for an hour.",
        meaning="Its run stands still; the next `world.cycles.run` goes on with it.",
        repair="Frees the cycle and leaves its run to the next owner.",
        root=CYCLE,
        statements=(
            """
            UPDATE livingworld.cycles c SET owner = NULL, expires_at = NULL
            WHERE c.world_id = :world_id AND c.name = :name
            """,
        ),
    ),
    WorldCheck(
        name="leases_expired",
        find="""
            SELECT l.name, l.expires_at FROM livingworld.leases l
            WHERE l.world_id = :world_id AND l.owner IS NOT NULL AND l.expires_at < now() - interval '1 hour'
        """,
        wrong="A lease is held by a process that has not renewed it for an hour.",
        meaning="Its holder has died; the lease is free to take, and looks held until then.",
        repair="Frees the lease; its token stays, so the dead holder's writes are refused as before.",
        root=LEASE,
        statements=(
            """
            UPDATE livingworld.leases l SET owner = NULL, expires_at = NULL, token = l.token + 1
            WHERE l.world_id = :world_id AND l.name = :name
            """,
        ),
    ),
    WorldCheck(
        name="lanes",
        find="""
            WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS read_at),
            state AS (
                SELECT l.lane, l.last_number, l.waiting, l.head_priority, l.head_created_at, l.running_until,
                       l.wakes_at,
                       -- What came due after the last write of the lane is put in by the next one.
                       least(clock.read_at, l.wakes_at - interval '1 microsecond') AS read_at
                FROM livingworld.lanes l CROSS JOIN clock WHERE l.world_id = :world_id
            )
            SELECT s.lane, s.waiting, n.waiting AS counted, s.last_number, n.highest AS highest
            FROM state s
            CROSS JOIN LATERAL (
                SELECT count(*) FILTER (WHERE a.state = 'waiting') AS waiting,
                       coalesce(max(greatest(a.number, a.ended_number)), 0) AS highest,
                       max(least(a.claimed_until, a.deadline)) FILTER (WHERE a.state = 'running') AS running_until,
                       bool_or(a.state = 'waiting' AND a.not_before = s.wakes_at) AS wakes,
                       bool_or(a.state = 'waiting' AND a.not_before > s.read_at
                               AND (s.wakes_at IS NULL OR a.not_before < s.wakes_at)) AS sleeps
                FROM livingworld.actions a WHERE a.world_id = :world_id AND a.lane = s.lane
            ) n
            LEFT JOIN LATERAL (
                SELECT a.priority, a.created_at FROM livingworld.actions a
                WHERE a.world_id = :world_id AND a.lane = s.lane AND a.state = 'waiting'
                    AND (a.not_before IS NULL OR a.not_before <= s.read_at)
                ORDER BY a.priority DESC, a.number LIMIT 1
            ) head ON true
            WHERE s.waiting <> n.waiting OR s.last_number < n.highest
                OR s.running_until IS DISTINCT FROM n.running_until
                OR s.head_priority IS DISTINCT FROM head.priority
                OR s.head_created_at IS DISTINCT FROM head.created_at
                OR s.wakes_at IS NOT NULL AND n.wakes IS NOT TRUE OR n.sleeps IS TRUE
        """,
        wrong="What a lane's row says of its actions is not so: its head, its counters, or what runs.",
        meaning="Commands that are due are not claimed, come out of order, or are refused because the lane looks full.",
        repair="Computes the row again from the actions, as every write of the lane does.",
        root=LANE,
        statements=(
            """
            UPDATE livingworld.lanes l SET waiting = :counted
            WHERE l.world_id = :world_id AND l.lane = :lane
            """,
            """
            SELECT livingworld.refresh_lane_head_v1(
                :world_id, CAST(:lane AS text), clock_timestamp(),
                greatest(CAST(:last_number AS bigint), CAST(:highest AS bigint)), 0
            )
            """,
        ),
    ),
)
