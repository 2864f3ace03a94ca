"""Cutting the largest tables of one server by world: refused with all that is missing, or done table by table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import URL, Connection, MetaData, text

from livingworld.postgres import migrations
from livingworld.postgres.connections.one_connection import connected
from livingworld.postgres.connections.scope import MAINTAIN
from livingworld.postgres.distribution.partition_table import partition_table
from livingworld.postgres.distribution.partitions import PARTS, Partitions, look
from livingworld.postgres.metadata import SCHEMA
from livingworld.postgres.upgrades.turn import LOCK_KEY

#: Called with the table that is cut next.
Report = Callable[[str], None]
#: Called in the transaction in which a table was cut.
Complete = Callable[[Connection], None]

_ALONE: Final = text(f"SELECT pg_advisory_xact_lock({LOCK_KEY})")
_LIMITS: Final = ("SET LOCAL lock_timeout = '60s'", "SET LOCAL statement_timeout = 0")
_CITUS: Final = text("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')")
_OWNS: Final = text("""
    SELECT has_database_privilege(current_database(), 'CREATE') AND coalesce(
        (SELECT pg_has_role(n.nspowner, 'MEMBER') FROM pg_namespace n WHERE n.nspname = :schema), true)
""")
_PROGRAMS: Final = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'livingworld%' AND pid <> pg_backend_pid()
""")
#: A table is a member of a publication by its number.
_PUBLICATIONS: Final = text("""
    SELECT string_agg(DISTINCT p.pubname, ', ') FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
    JOIN pg_class c ON c.oid = r.prrelid WHERE c.relnamespace = to_regnamespace(:schema)
""")
_VIEWS: Final = text("""
    SELECT string_agg(DISTINCT CAST(CAST(w.ev_class AS regclass) AS text), ', ') FROM pg_depend d
    JOIN pg_rewrite w ON d.classid = CAST('pg_rewrite' AS regclass) AND w.oid = d.objid
    JOIN pg_class c ON d.refclassid = CAST('pg_class' AS regclass) AND c.oid = d.refobjid AND c.oid <> w.ev_class
    WHERE c.relnamespace = to_regnamespace(:schema) AND c.relname = ANY (CAST(:tables AS text[]))
""")


@dataclass(frozen=True, slots=True)
class Partitioned:
    """How the largest tables are cut, and why nothing was done, a line each."""

    partitions: Partitions
    refused: tuple[str, ...] = ()


async def partitions_of(url: str | URL, metadata: MetaData) -> Partitions:
    """Return how the largest tables of a database are cut; changes nothing."""
    async with connected(url) as connection:
        return await connection.run_sync(look, metadata)


async def partition(
    url: str | URL, metadata: MetaData, count: int, *, complete: Complete, report: Report
) -> Partitioned:
    """Cut the largest tables into so many partitions by world, and return how they are cut; again is harmless.

    Each table is a transaction of its own, which takes effect whole or not at all. Where something is missing,
    nothing is done and `refused` says what.
    """
    state = await migrations.status(url)
    async with connected(url) as guard, guard.begin():
        await guard.execute(_ALONE)
        async with connected(url) as connection:
            lacks = await connection.run_sync(_lacks, metadata, count)
            if state.pending:
                lacks.append(f"the newest revision, {state.head}: run `livingworld db upgrade`")
            if lacks:
                return Partitioned(await connection.run_sync(look, metadata), tuple(lacks))
            await connection.rollback()
            await connection.run_sync(_partition, metadata, count, complete, report)
    return Partitioned(await partitions_of(url, metadata))


def _partition(connection: Connection, metadata: MetaData, count: int, complete: Complete, report: Report) -> None:
    with connection.begin():
        left = look(connection, metadata).whole
    for name in left:
        report(name)
        with connection.begin():
            for limit in _LIMITS:
                connection.execute(text(limit))
            connection.execute(MAINTAIN)
            partition_table(connection, name, count)
            complete(connection)


def _lacks(connection: Connection, metadata: MetaData, count: int) -> list[str]:
    """Return what the database lacks, all of it, for its tables to be cut."""
    names = {"schema": SCHEMA, "tables": list(metadata.info["largest"])}
    found = look(connection, metadata)
    if not found.whole:
        return []
    programs = connection.scalar(_PROGRAMS) or 0
    lacks = {
        "one server without Citus: Citus cuts the tables itself, without --partitions": connection.scalar(_CITUS),
        f"the owner of the tables, who may make the schema {PARTS}: another role is connected": not connection.scalar(
            _OWNS, {"schema": SCHEMA}
        ),
        f"the number of partitions that is there already: {found.count}": found.count not in {0, count},
        f"no program at work: {programs} sessions of livingworld are connected": programs,
        "tables without a publication of single tables: {}": connection.scalar(_PUBLICATIONS, {"schema": SCHEMA}),
        "tables without a view of somebody else: {}": connection.scalar(_VIEWS, names),
    }
    return [what.format(reason) for what, reason in lacks.items() if reason]
