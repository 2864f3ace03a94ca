"""One table becomes one of partitions by world, in the transaction of the caller: made, filled, put in its place.

PostgreSQL cannot cut a table. A new one of the same name takes its place, and what was said of the old one is said
again: keys, indexes, foreign keys from and to it, functions, triggers and privileges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, TextClause, text

from livingworld.postgres.distribution.partitions import PARTS
from livingworld.postgres.metadata import SCHEMA

#: Names come out with their schema, so that the same text says the same thing again.
NAMED_IN_FULL: Final = "SET LOCAL search_path = pg_catalog"
_NEIGHBOURS: Final = """
    SELECT DISTINCT x.name FROM pg_constraint k
    CROSS JOIN LATERAL (VALUES (k.conrelid::regclass::text), (k.confrelid::regclass::text)) AS x (name)
    WHERE k.contype = 'f' AND k.conparentid = 0 AND '{table}'::regclass IN (k.conrelid, k.confrelid) ORDER BY 1
"""
_COLUMNS: Final = """
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""
_OPTIONS: Final = "SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = '{table}'::regclass"
#: Keys before the foreign keys that need them; a CHECK comes with the columns.
_CONSTRAINTS: Final = """
    SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint
    WHERE conparentid = 0 AND (
        conrelid = '{table}'::regclass AND contype IN ('p', 'u', 'f') OR confrelid = '{table}'::regclass
    )
    ORDER BY contype = 'f', conname
"""
_REFERRING: Final = """
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
    WHERE confrelid = '{table}'::regclass AND conrelid <> confrelid AND conparentid = 0
"""
_INDEXES: Final = """
    SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i
    WHERE i.indrelid = '{table}'::regclass AND i.indisvalid
        AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'))
    ORDER BY i.indexrelid::regclass::text
"""
_TRIGGERS: Final = """
    SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = '{table}'::regclass AND NOT tgisinternal
"""
_GRANTS: Final = """
    SELECT format('GRANT %s ON {table} TO %s%s', a.privilege_type,
                  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                  CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
    WHERE c.oid = '{table}'::regclass AND a.grantee <> c.relowner
"""
#: As Citus names those of a shard: an error names the one of a partition, by which the library knows whose it is.
_NAMES: Final = """
    SELECT format('ALTER INDEX %s RENAME TO %I', part.oid::regclass,
                  left(root.relname, 58) || '_' || substring(cut.relname FROM '\\d+$'))
    FROM pg_index r JOIN pg_class root ON root.oid = r.indexrelid
    JOIN pg_inherits i ON i.inhparent = root.oid JOIN pg_class part ON part.oid = i.inhrelid
    JOIN pg_index p ON p.indexrelid = part.oid JOIN pg_class cut ON cut.oid = p.indrelid
    WHERE r.indrelid = '{table}'::regclass ORDER BY part.oid
"""
#: The functions that say something of the table or its rows, and those that call them, by number: a caller is younger.
_FUNCTIONS: Final = """
    WITH RECURSIVE bound AS (
        SELECT d.objid FROM pg_depend d JOIN pg_class c ON c.oid = '{table}'::regclass
        WHERE d.classid = 'pg_proc'::regclass
            AND (d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
                OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (c.reltype, (
                    SELECT t.typarray FROM pg_type t WHERE t.oid = c.reltype)))
        UNION
        SELECT d.objid FROM bound b JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = b.objid
        WHERE d.classid = 'pg_proc'::regclass
    )
    SELECT p.oid::regprocedure::text AS name, pg_get_functiondef(p.oid) AS made, ARRAY(
        SELECT format('GRANT EXECUTE ON FUNCTION %s TO %s', p.oid::regprocedure,
                      CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
        FROM aclexplode(p.proacl) a WHERE a.grantee <> p.proowner
    ) AS grants
    FROM pg_proc p WHERE p.oid IN (SELECT objid FROM bound) ORDER BY p.prolang, p.oid
"""


@dataclass(frozen=True, slots=True)
class _Said:
    """What the catalogue says of a table, as statements that say it again."""

    columns: str
    options: str | None
    dropped: list[str]
    again: list[str]
    functions: list[Any]


def partition_table(connection: Connection, name: str, count: int) -> None:
    """Cut a table into so many partitions by `world_id`; nobody reads or writes it and its neighbours meanwhile."""
    table = f"{SCHEMA}.{name}"
    _execute(connection, NAMED_IN_FULL)
    neighbours = _column(connection, _NEIGHBOURS, table) or [table]
    _execute(connection, f"LOCK TABLE {', '.join(neighbours)} IN ACCESS EXCLUSIVE MODE")
    said = _what_is_said(connection, table)
    for statement in (*_made(name, count, said), *_filled(name, said)):
        _execute(connection, statement)
    for statement in (*_column(connection, _NAMES, table), f"ANALYZE {table}"):
        _execute(connection, statement)


def _what_is_said(connection: Connection, table: str) -> _Said:
    again = [_column(connection, query, table) for query in (_CONSTRAINTS, _INDEXES, _TRIGGERS, _GRANTS)]
    return _Said(
        columns=_column(connection, _COLUMNS, table)[0],
        options=_column(connection, _OPTIONS, table)[0],
        dropped=_column(connection, _REFERRING, table),
        again=[statement for statements in again for statement in statements],
        functions=list(connection.execute(_verbatim(_FUNCTIONS.replace("{table}", table)))),
    )


def _made(name: str, count: int, said: _Said) -> list[str]:
    """Return the statements that make the partitioned table in the place of the old one, which steps aside."""
    table = f"{SCHEMA}.{name}"
    like = "DEFAULTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING CONSTRAINTS INCLUDING COMMENTS"
    options = f" WITH ({said.options})" if said.options else ""
    return [
        f"CREATE SCHEMA IF NOT EXISTS {PARTS}",
        f"ALTER TABLE {table} SET SCHEMA {PARTS}",
        f"CREATE TABLE {table} (LIKE {PARTS}.{name} INCLUDING {like}) PARTITION BY HASH (world_id)",
        *(
            f"CREATE TABLE {PARTS}.{name}_{number} PARTITION OF {table}"
            f" FOR VALUES WITH (MODULUS {count}, REMAINDER {number}){options}"
            for number in range(count)
        ),
    ]


def _filled(name: str, said: _Said) -> list[str]:
    """Return the statements that fill it and let it be what the old one was, which goes."""
    rows = f"INSERT INTO {SCHEMA}.{name} ({said.columns}) SELECT {said.columns} FROM {PARTS}.{name}"  # noqa: S608 - of the catalogue
    functions = [each.made for each in said.functions]
    revoked = [f"REVOKE ALL ON FUNCTION {each.name} FROM PUBLIC" for each in said.functions]
    return [
        rows,
        *said.dropped,
        *(f"DROP FUNCTION {', '.join(each.name for each in said.functions)}" for _ in said.functions[:1]),
        f"DROP TABLE {PARTS}.{name}",
        *said.again,
        *functions,
        *revoked,
        *(grant for each in said.functions for grant in each.grants),
    ]


def _column(connection: Connection, query: str, table: str) -> list[Any]:
    return list(connection.scalars(_verbatim(query.replace("{table}", table))))


def _execute(connection: Connection, statement: str) -> None:
    connection.execute(_verbatim(statement))


def _verbatim(statement: str) -> TextClause:
    return text(statement.replace(":", "\\:"))
