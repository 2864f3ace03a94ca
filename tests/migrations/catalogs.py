"""What PostgreSQL itself says of the schema, so that two databases can be compared whole."""

from __future__ import annotations

from livingworld.testing.staged_races import connected

_QUERIES = {
    "columns": """
        SELECT c.relname || '.' || a.attname AS name,
               format_type(a.atttypid, a.atttypmod) || ' null=' || (NOT a.attnotnull)::text
               || ' default=' || coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS meaning
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'livingworld'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
            AND c.relname <> 'alembic_version'
    """,
    "constraints": """
        SELECT conrelid::regclass || ' ' || conname AS name, pg_get_constraintdef(oid) AS meaning
        FROM pg_constraint
        WHERE connamespace = 'livingworld'::regnamespace AND contype <> 'n'
            AND conrelid <> 'livingworld.alembic_version'::regclass
    """,
    "indexes": """
        SELECT indexname AS name, indexdef AS meaning FROM pg_indexes
        WHERE schemaname = 'livingworld' AND tablename <> 'alembic_version'
    """,
    "functions": """
        SELECT proname AS name, pg_get_functiondef(oid) AS meaning FROM pg_proc
        WHERE pronamespace = 'livingworld'::regnamespace
    """,
    "triggers": """
        SELECT tgname AS name, pg_get_triggerdef(oid) AS meaning FROM pg_trigger WHERE NOT tgisinternal
    """,
}


async def catalog(url: str) -> dict[str, dict[str, str]]:
    """Return every part of the schema by kind and name."""
    async with connected(url) as connection:
        return {
            kind: {row["name"]: row["meaning"] for row in await connection.fetch(query)}
            for kind, query in _QUERIES.items()
        }
