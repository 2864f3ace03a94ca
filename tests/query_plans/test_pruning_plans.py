"""Pruning reads what it removes, not what it keeps."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from livingworld import LivingWorld, World
from livingworld.app.pruning import _REMOVALS
from livingworld.testing.staged_races import connected
from tests.query_plans.large_world import analyze
from tests.query_plans.logged_plans import planned, rows_read

_KEPT: Final = 5_000
_OLD: Final = 20
#: Each stores one row for each number from 1 to $2; those up to $3 are a year old.
FILL: Final = {
    "request_keys": """
        INSERT INTO livingworld.request_keys (world_id, scope_id, request_key, request_hash, result, created_at)
        SELECT $1, $1, 'key ' || n, decode(repeat('00', 32), 'hex'), 'null', {time}
    """,
    "embeddings": """
        INSERT INTO livingworld.embedding_cache (world_id, embedder, digest, dimensions, vector, created_at)
        SELECT $1, 'hash', sha256(n::text::bytea), 1, ARRAY[1], {time}
    """,
    "events": """
        WITH stream AS (
            INSERT INTO livingworld.live_streams (world_id, stream_id, last_number, followed_until)
            VALUES ($1, $1, 100000, now() + interval '1 hour') RETURNING stream_id
        )
        INSERT INTO livingworld.live_events (world_id, stream_id, event_number, kind, created_at)
        SELECT $1, (SELECT stream_id FROM stream), n, 'x', {time}
    """,
    "actions": """
        WITH lane AS (INSERT INTO livingworld.lanes (world_id, lane) VALUES ($1, 'mara') RETURNING lane)
        INSERT INTO livingworld.actions
            (world_id, action_id, lane, number, kind, state, max_attempts, ended_number, ended_at)
        SELECT $1, gen_random_uuid(), (SELECT lane FROM lane), n, 'walk', 'done', 5, 0, {time}
    """,
    "interactions": """
        WITH session AS (
            INSERT INTO livingworld.sessions (world_id, session_id) VALUES ($1, $1) RETURNING session_id
        )
        INSERT INTO livingworld.interactions (world_id, session_id, interaction_number, request, created_at)
        SELECT $1, (SELECT session_id FROM session), n, 'x', {time}
    """,
}
TIME: Final = (
    "CASE WHEN n <= $3 THEN now() - interval '1 year' ELSE now() END FROM generate_series(1, $2::integer) AS n"
)


@pytest.mark.parametrize("statistics_of", ["nothing", "everything"])
async def test_pruning_reads_what_it_removes(database_url: str, world: World, statistics_of: str) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld, connected(database_url) as connection:
        other = await livingworld.worlds.create("another")
        for statement in FILL.values():
            await connection.execute(statement.format(time=TIME), world.id, _KEPT, _OLD)
            await connection.execute(statement.format(time=TIME), other.id, _KEPT, 0)
    if statistics_of == "everything":
        await analyze(database_url)

    assert set(FILL) == set(_REMOVALS)
    wasteful = []
    async with planned(database_url, world.id) as (opened, logged):
        for name, remove in _REMOVALS.items():
            logged.plans.clear()
            assert await opened._unit.write_single_idempotent(remove, timedelta(days=1), 100) == _OLD
            assert logged.plans, name
            wasteful += [
                (name, node["Node Type"], node.get("Index Name"), node.get("Index Cond"), rows_read(node))
                for node in logged.nodes()
                if rows_read(node) > 10 * _OLD
            ]
    assert wasteful == []
