"""What may be wrong with the database and its server: settings, indexes, statistics, bloat, and the clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateIndex

from livingworld.postgres.distribution.distributing import stand
from livingworld.postgres.distribution.partitions import look as partitions_of
from livingworld.postgres.metadata import SCHEMA
from livingworld.postgres.replicas.standing import replica_standing
from livingworld.schema import metadata
from livingworld.settings.settings import Settings
from livingworld.story.worlds.isolation import NOT_ISOLATED

Rows = list[dict[str, Any]]

_MADE_BY_EACH_UPGRADE: Final = {"vector_similarity", "nearest_memories"}
#: A larger difference between this machine's clock and the server's is reported.
MAX_SKEW: Final = timedelta(seconds=5)
#: A standby that is further behind is reported; in bytes of the write-ahead log.
MAX_BEHIND: Final = 64 * 1024 * 1024
#: The statements of a row that repair it, each on its own: none of them may run in a transaction.
COMMANDS: Final = "commands"

_WEAK_SETTINGS: Final = text("""
    SELECT s.name, s.setting FROM pg_settings s
    WHERE s.name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum') AND s.setting = 'off'
        OR s.name = 'zero_damaged_pages' AND s.setting = 'on'
    ORDER BY s.name
""")
_INDEXES: Final = text("""
    SELECT c.relname AS name, i.indisvalid AS valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = to_regnamespace(CAST(:schema AS text))
""")
_CONSTRAINTS: Final = text("""
    SELECT c.conname AS name, c.convalidated AS valid FROM pg_constraint c
    WHERE c.connamespace = to_regnamespace(CAST(:schema AS text))
""")
_FUNCTIONS: Final = text("""
    SELECT p.proname AS name, true AS valid FROM pg_proc p WHERE p.pronamespace = to_regnamespace(CAST(:schema AS text))
""")
# A table of less than 8 MB is read quickly by any plan.
_NO_STATISTICS: Final = text("""
    SELECT c.relname AS name, pg_relation_size(c.oid) AS bytes, format('ANALYZE %s', c.oid::regclass) AS command
    FROM pg_class c
    WHERE c.relnamespace = to_regnamespace(CAST(:schema AS text)) AND c.relkind = 'r'
        AND pg_relation_size(c.oid) > 8 * 1024 * 1024 AND NOT EXISTS (
            SELECT FROM pg_stats s WHERE s.schemaname = CAST(:schema AS text) AND s.tablename = c.relname
        )
        -- Row-level security hides the statistics too.
        AND (c.reltuples < 0 OR NOT row_security_active(c.oid))
    ORDER BY c.relname
""")
_BLOAT: Final = text("""
    SELECT t.relname AS name, t.n_live_tup AS living, t.n_dead_tup AS dead,
           format('VACUUM %s', t.relid::regclass) AS command
    FROM pg_stat_user_tables t
    WHERE t.schemaname = CAST(:schema AS text) AND t.n_dead_tup > 10000 AND t.n_dead_tup > t.n_live_tup
    ORDER BY t.relname
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCheck:
    """What may be wrong in a database as a whole."""

    name: str
    #: Returns a row for each thing that is wrong; one that can be repaired has COMMANDS.
    find: Callable[[AsyncConnection], Awaitable[Rows]]
    wrong: str
    meaning: str
    repair: str
    repairable: bool = False


async def _weak_settings(connection: AsyncConnection) -> Rows:
    return [dict(row) for row in (await connection.execute(_WEAK_SETTINGS)).mappings()]


async def _missing_indexes(connection: AsyncConnection) -> Rows:
    there = await _names(connection, _INDEXES)
    missing: Rows = []
    for table in metadata.sorted_tables:
        for index in sorted(table.indexes, key=lambda each: str(each.name)):
            name = str(index.name)
            if there.get(name):
                continue
            statement = " ".join(str(CreateIndex(index).compile(dialect=postgresql.dialect())).split())  # type: ignore[no-untyped-call]
            drop = [f"DROP INDEX CONCURRENTLY {SCHEMA}.{name}"] if name in there else []
            create = statement.replace("INDEX ", "INDEX CONCURRENTLY ", 1)
            missing.append({"name": name, "table": table.name, COMMANDS: [*drop, create]})
    return missing


async def _missing_constraints(connection: AsyncConnection) -> Rows:
    expected = (str(each.name) for table in metadata.sorted_tables for each in table.constraints)
    return await _missing(connection, _CONSTRAINTS, expected)


async def _missing_functions(connection: AsyncConnection) -> Rows:
    package = Path(__file__).parents[1]
    of_revisions = {path.stem for path in package.glob("**/sql/*_v[0-9]*.sql")}
    return await _missing(connection, _FUNCTIONS, of_revisions | _MADE_BY_EACH_UPGRADE)


async def _missing(connection: AsyncConnection, statement: Any, expected: Iterable[str]) -> Rows:  # noqa: ANN401 - a TextClause
    there = await _names(connection, statement)
    return [{"name": name} for name in sorted(expected) if not there.get(name)]


async def _names(connection: AsyncConnection, statement: Any) -> dict[str, bool]:  # noqa: ANN401 - a TextClause
    return {row.name: row.valid for row in await connection.execute(statement, {"schema": SCHEMA})}


async def _not_isolated(connection: AsyncConnection) -> Rows:
    return [dict(row) for row in (await connection.execute(NOT_ISOLATED)).mappings()]


async def _no_statistics(connection: AsyncConnection) -> Rows:
    return await _with_command(connection, _NO_STATISTICS)


async def _bloat(connection: AsyncConnection) -> Rows:
    return await _with_command(connection, _BLOAT)


async def _with_command(connection: AsyncConnection, statement: Any) -> Rows:  # noqa: ANN401 - a TextClause
    rows = (await connection.execute(statement, {"schema": SCHEMA})).mappings()
    return [{**row, COMMANDS: [row["command"]]} for row in rows]


def local_time() -> datetime:
    """Return the time by the clock of this machine."""
    return datetime.now(UTC)


async def _clock_skew(connection: AsyncConnection) -> Rows:
    before = local_time()
    server = await connection.scalar(text("SELECT clock_timestamp()"))
    after = local_time()
    skew = max(before - server, server - after)
    return [{"seconds": round(skew.total_seconds(), 1), "server": server}] if skew > MAX_SKEW else []


async def _not_distributed(connection: AsyncConnection) -> Rows:
    found = await connection.run_sync(stand, metadata, Settings.load())
    return [{"missing": line} for line in found.missing] if found.is_distributed else []


async def _replica(_: AsyncConnection) -> Rows:
    settings = Settings.load()
    primary = settings.listening_url() or settings.url()
    found = None if primary is None else await replica_standing(settings, primary)
    if found is None or (found.refused is None and (found.behind or 0) <= MAX_BEHIND):
        return []
    return [{"replica": found.address, "refused": found.refused, "bytes_behind": found.behind}]


async def _not_partitioned(connection: AsyncConnection) -> Rows:
    found = await connection.run_sync(partitions_of, metadata)
    return [{"missing": line} for line in found.missing]


SERVER_CHECKS: Final = (
    ServerCheck(
        name="replica_unused",
        find=_replica,
        wrong="The standby that LIVINGWORLD_REPLICA_URL names is no standby of this database, cannot be reached, or is "
        "more than 64 MiB of log behind.",
        meaning="Reads that say `at_least` go to the primary.",
        repair="Refused: it is the administrator's. Name a standby of this database, or let this one catch up.",
    ),
    ServerCheck(
        name="partitions_incomplete",
        find=_not_partitioned,
        wrong="Some of the largest tables are cut into partitions by world, and not all of them.",
        meaning="Every call works; the tables that are whole are vacuumed and indexed whole.",
        repair="Refused: stop the programs and run `livingworld db distribute --partitions` with the same number.",
    ),
    ServerCheck(
        name="distribution_incomplete",
        find=_not_distributed,
        wrong="Citus distributes some of the tables, and not all that belongs to them.",
        meaning="A call fails, waits longer than its limit, or reads every node for one world.",
        repair="Refused: stop the programs and run `livingworld db distribute`, which brings what is missing.",
    ),
    ServerCheck(
        name="weak_settings",
        find=_weak_settings,
        wrong="A setting of the server gives up what it promises: fsync, full_page_writes, synchronous_commit, "
        "zero_damaged_pages or autovacuum.",
        meaning="A scene that was acknowledged can be lost or damaged when the machine fails.",
        repair="Refused: it is the administrator's. Remove the setting from postgresql.conf, the database or the role.",
    ),
    ServerCheck(
        name="indexes_missing",
        find=_missing_indexes,
        wrong="An index of this release does not exist, or PostgreSQL has not finished it.",
        meaning="A call reads a whole world for one row, or, for a unique index, nothing prevents what it forbids.",
        repair="Creates the index while others read and write; a unique index fails where rows break it already.",
        repairable=True,
    ),
    ServerCheck(
        name="constraints_missing",
        find=_missing_constraints,
        wrong="A constraint of this release does not exist, or was never checked.",
        meaning="Nothing prevents rows that the constraint forbids.",
        repair="Refused: rows may break it. `livingworld db check` names it; add it by hand after the other findings.",
    ),
    ServerCheck(
        name="functions_missing",
        find=_missing_functions,
        wrong="A function of this release does not exist.",
        meaning="Every call that uses it fails.",
        repair="Refused: `livingworld db upgrade` creates it, or restore it from a backup.",
    ),
    ServerCheck(
        name="statistics_missing",
        find=_no_statistics,
        wrong="PostgreSQL has never gathered statistics of a large table.",
        meaning="It may read the whole table for one row.",
        repair="Runs ANALYZE on the table; only its owner may.",
        repairable=True,
    ),
    ServerCheck(
        name="bloat",
        find=_bloat,
        wrong="A table has more dead rows than living ones.",
        meaning="Every read and write of the table goes over rows that are gone.",
        repair="Runs VACUUM on the table, beside all other work; only its owner may.",
        repairable=True,
    ),
    ServerCheck(
        name="isolation_incomplete",
        find=_not_isolated,
        wrong="The database is isolated, and a table lacks a policy or has one that is not livingworld's.",
        meaning="A transaction may see rows of other worlds, or miss some of its own.",
        repair="Refused: `livingworld db isolate` makes what is missing; drop the other policy by hand.",
    ),
    ServerCheck(
        name="clock_skew",
        find=_clock_skew,
        wrong="The clock of this machine and that of the server differ by more than 5 seconds.",
        meaning="Ids that are made here sort before or after those of other machines. Leases go by the server's clock.",
        repair="Refused: let both machines be kept by NTP.",
    ),
)
