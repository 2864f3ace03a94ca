"""Distributing a database by world: refused with all that is missing, or done step by step until nothing is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import URL, Connection, MetaData, text

from livingworld.postgres import migrations
from livingworld.postgres.connections.one_connection import connected
from livingworld.postgres.connections.time_limits import in_milliseconds, transaction_limits
from livingworld.postgres.distribution.cluster import Cluster, look
from livingworld.postgres.distribution.step import Step
from livingworld.postgres.distribution.steps import reference_tables, steps
from livingworld.postgres.metadata import SCHEMA
from livingworld.postgres.upgrades.turn import LOCK_KEY
from livingworld.settings.settings import Settings

#: Called with what is missing before it is brought.
Report = Callable[[str], None]

NO_CITUS: Final = (
    "Citus is not in this database: it is one of a plain PostgreSQL server, or lacks CREATE EXTENSION citus"
)
#: How many shards a table has: the most nodes that it can ever be spread over.
SHARDS: Final = 32
_OLDEST: Final = 13
#: What a shard needs is known when there are shards.
_LOOKS: Final = 2
_LOCK: Final = text(f"SELECT pg_advisory_xact_lock({LOCK_KEY})")
_DATABASE: Final = text("SELECT quote_ident(current_database())")
_IS_COORDINATOR: Final = text("SELECT citus_is_coordinator()")
_OWNS: Final = text("""
    SELECT pg_has_role(d.datdba, 'MEMBER') AND coalesce(
        (SELECT pg_has_role(n.nspowner, 'MEMBER') FROM pg_namespace n WHERE n.nspname = :schema), true
    ) FROM pg_database d WHERE d.datname = current_database()
""")
_PROGRAMS: Final = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'livingworld%' AND pid <> pg_backend_pid()
""")
_IS_ISOLATED: Final = text("""
    SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace(CAST(:schema AS text)) AND relrowsecurity)
""")
_BEGINNING: Final = (
    "SET LOCAL citus.propagate_set_commands = 'local'",
    "SET LOCAL citus.multi_shard_modify_mode = 'sequential'",
    "SET LOCAL lock_timeout = '60s'",
    "SET LOCAL statement_timeout = 0",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a database is distributed, and what is missing until it is so wholly."""

    #: The version of the extension, and the nodes; None and none on a plain server.
    citus: str | None
    nodes: tuple[str, ...] = ()
    #: Whether a table of ours is distributed.
    is_distributed: bool = False
    missing: tuple[str, ...] = ()
    #: Why nothing was done, a line each.
    refused: tuple[str, ...] = ()


async def standing(url: str | URL, metadata: MetaData, settings: Settings) -> Standing:
    """Return whether the database is distributed, and what is missing; changes nothing."""
    async with connected(url) as connection:
        return await connection.run_sync(stand, metadata, settings)


def stand(connection: Connection, metadata: MetaData, settings: Settings) -> Standing:
    """Return what `standing` does, on a connection that is open."""
    cluster = look(connection)
    if cluster is None:
        return Standing(citus=None)
    left = _left(connection, cluster, metadata, settings, SHARDS)
    distributed = bool(cluster.tables)
    return Standing(cluster.version, cluster.nodes, distributed, tuple(step.missing for step in left))


async def distribute(
    url: str | URL, metadata: MetaData, settings: Settings, *, shards: int = SHARDS, report: Report
) -> Standing:
    """Distribute every table by world, and return where the database stands then; doing it again is harmless.

    Each step is a transaction of its own: what fails is found again by the next call. Where it lacks what it needs,
    nothing is done and `refused` says why. No program may use the database until it is done.
    """
    state = await migrations.status(url)
    async with connected(url) as guard, guard.begin():
        await guard.execute(_LOCK)
        async with connected(url) as connection:
            lacks = await connection.run_sync(_lacks, metadata)
            if state.pending:
                lacks.append(f"the newest revision, {state.head}: run `livingworld db upgrade`")
            if lacks:
                return replace(await connection.run_sync(stand, metadata, settings), refused=tuple(lacks))
            await connection.rollback()
            await connection.run_sync(_distribute, metadata, settings, shards, report)
    return await standing(url, metadata, settings)


def distribute_added(connection: Connection, metadata: MetaData, settings: Settings) -> None:
    """Distribute what a migration has added, in its transaction."""
    for statement in _BEGINNING:
        connection.execute(text(statement))
    for _ in range(_LOOKS):
        cluster = look(connection)
        for step in _left(connection, cluster, metadata, settings, SHARDS) if cluster is not None else ():
            _run(connection, step)


def _distribute(connection: Connection, metadata: MetaData, settings: Settings, shards: int, report: Report) -> None:
    for _ in range(_LOOKS):
        with connection.begin():
            cluster = look(connection)
            left = [] if cluster is None else _left(connection, cluster, metadata, settings, shards)
        for step in left:
            report(step.missing)
            with connection.begin():
                for statement in _BEGINNING:
                    connection.execute(text(statement))
                _run(connection, step)


def _run(connection: Connection, step: Step) -> None:
    for statement in step.statements:
        connection.execute(text(statement.replace(":", "\\:")))


def _left(connection: Connection, cluster: Cluster, metadata: MetaData, settings: Settings, shards: int) -> list[Step]:
    # The other limits need no node: a session that ends or is cancelled takes its work on other nodes along.
    limits = {"lock_timeout": in_milliseconds(transaction_limits(settings)["lock_timeout"])}
    return steps(cluster, metadata, limits, shards, str(connection.scalar(_DATABASE)))


def _lacks(connection: Connection, metadata: MetaData) -> list[str]:
    """Return what the database lacks, all of it, to be distributed."""
    cluster = look(connection)
    if cluster is None:
        return [NO_CITUS]
    lacks = {
        f"Citus {_OLDEST} or newer: this is {cluster.version}": int(cluster.version.split(".")[0].split("-")[0])
        < _OLDEST,
        "a connection to the coordinator: this is a worker": not connection.scalar(_IS_COORDINATOR),
        "the coordinator's own address: SELECT citus_set_coordinator_host(...)": not cluster.has_coordinator,
        "a node that keeps shards: SELECT citus_add_node(...)": not cluster.keeps_shards,
        "the owner of the database and of its tables: another role is connected": not connection.scalar(
            _OWNS, {"schema": SCHEMA}
        ),
        "row-level security switched off: `livingworld db isolate --off`": bool(
            connection.scalar(_IS_ISOLATED, {"schema": SCHEMA})
        ),
    }
    programs = connection.scalar(_PROGRAMS) or 0
    names = {table.name for table in metadata.sorted_tables} | reference_tables(metadata)
    if programs and not names <= cluster.tables:
        lacks[f"no program at work: {programs} sessions of livingworld are connected"] = True
    return [what for what, is_so in lacks.items() if is_so]
