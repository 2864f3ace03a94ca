"""What the catalogue of a database knows of its sessions and of livingworld's tables; no row of a world is read."""

from __future__ import annotations

from typing import Any, Final

from livingworld.postgres.metadata import SCHEMA
from livingworld.postgres.transactions.transaction import Transaction

_SESSIONS: Final = """
    SELECT coalesce(state, 'hidden') AS state, count(*) AS sessions,
        count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting
    FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' GROUP BY 1 ORDER BY 1
"""
_TABLES: Final = """
    SELECT relname AS name, n_live_tup AS rows, n_dead_tup AS dead_rows, pg_total_relation_size(relid) AS bytes
    FROM pg_stat_user_tables WHERE schemaname = $1 ORDER BY relname
"""


async def read_numbers(tx: Transaction) -> dict[str, list[dict[str, Any]]]:
    """Return sessions by state and tables by name; rows are the estimates of PostgreSQL's statistics."""
    sessions = (await tx.execute_text(_SESSIONS, ())).all()
    tables = (await tx.execute_text(_TABLES, (SCHEMA,))).all()
    return {
        "sessions": [{"state": each.state, "sessions": each.sessions, "waiting": each.waiting} for each in sessions],
        "tables": [
            {"name": each.name, "rows": each.rows, "dead_rows": each.dead_rows, "bytes": each.bytes} for each in tables
        ],
    }
