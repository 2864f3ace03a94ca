"""What a database is to Citus: its extension, its nodes, and what they have of our tables, functions and settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from livingworld.postgres.metadata import SCHEMA

_ONE_BY_ONE: Final = text("SET citus.multi_shard_modify_mode = 'sequential'")
_EXTENSION: Final = text("SELECT extversion FROM pg_extension WHERE extname = 'citus'")
#: As "Citus 13.2.2 on x86_64-pc-linux-gnu, ...": the version of the extension does not name the patch release.
_RELEASE: Final = text("SELECT citus_version()")
_NODES: Final = text("""
    SELECT nodename, nodeport, groupid, isactive, shouldhaveshards FROM pg_dist_node
    WHERE noderole = 'primary' ORDER BY groupid
""")
_TABLES: Final = text("""
    SELECT c.relname AS name, pg_relation_size(c.oid) > 0 AS has_local_rows
    FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid
    WHERE c.relnamespace = to_regnamespace(CAST(:schema AS text))
""")
_EXISTING: Final = text("""
    SELECT c.relname FROM pg_class c
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = to_regnamespace(CAST(:schema AS text))
""")
_FOREIGN_KEYS: Final = text("""
    SELECT k.conname AS name, c.relname AS child, f.relname AS parent
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
    WHERE k.contype = 'f' AND k.connamespace = to_regnamespace(CAST(:schema AS text)) ORDER BY k.conname
""")
_FUNCTIONS: Final = text("""
    SELECT p.proname AS name, CAST(CAST(p.oid AS regprocedure) AS text) AS signature, l.lanname AS language,
           (SELECT split_part(c, '=', 2) FROM unnest(p.proconfig) c WHERE c LIKE 'plan_cache_mode=%') AS plans,
           d.objid IS NOT NULL AS is_known, d.distribution_argument_index IS NOT NULL AS is_routed, p.prosrc AS source
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    LEFT JOIN pg_catalog.pg_dist_object d ON d.classid = CAST('pg_proc' AS regclass) AND d.objid = p.oid
    WHERE p.pronamespace = to_regnamespace(CAST(:schema AS text)) ORDER BY p.proname
""")
_SHARDS: Final = text("""
    SELECT s.shardminvalue AS lowest, c.relname AS name, s.shardid AS number
    FROM pg_dist_shard s JOIN pg_class c ON c.oid = s.logicalrelid
    WHERE s.shardminvalue IS NOT NULL AND c.relnamespace = to_regnamespace(CAST(:schema AS text)) ORDER BY s.shardid
""")
_SETTINGS: Final = text("""
    SELECT unnest(s.setconfig) AS setting FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
    WHERE d.datname = current_database() AND s.setrole = 0
""")


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key between two of our tables."""

    name: str
    child: str
    parent: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function of ours."""

    name: str
    #: With the types of its arguments.
    signature: str
    language: str
    #: Where it has a setting of its own. Citus cannot make one plan for all calls.
    plan_cache_mode: str | None
    #: Whether Citus makes it on every node, and runs a call on the node of its world.
    is_known: bool
    is_routed: bool
    #: What stands between its quotes.
    source: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """One look at a database that has the extension."""

    version: str
    #: The numbers of the release that runs, as (13, 2, 2).
    release: tuple[int, ...]
    #: `host:port` of each node that is active.
    nodes: tuple[str, ...]
    #: Whether the coordinator is one of them, and whether any of them keeps shards.
    has_coordinator: bool
    keeps_shards: bool
    #: The tables of the revision that the database is at.
    existing: frozenset[str]
    #: Our tables that are distributed or on every node, and those of them whose old rows are still on the disk.
    tables: frozenset[str]
    left_rows: frozenset[str]
    foreign_keys: tuple[ForeignKey, ...]
    functions: tuple[Function, ...]
    #: The numbers of shards by the name of their table, for each part into which the worlds are cut.
    shards: tuple[Mapping[str, int], ...]
    #: The settings of the database: name and value.
    settings: frozenset[tuple[str, str]]


def look(connection: Connection) -> Cluster | None:
    """Return what Citus knows of the database, or None where the extension is not in it."""
    version = connection.scalar(_EXTENSION)
    if version is None:
        return None
    nodes = [node for node in connection.execute(_NODES) if node.isactive]
    own = {"schema": SCHEMA}
    tables = connection.execute(_TABLES, own).all()
    return Cluster(
        version=version,
        release=_numbers(str(connection.scalar(_RELEASE))),
        nodes=tuple(f"{node.nodename}:{node.nodeport}" for node in nodes),
        has_coordinator=any(node.groupid == 0 for node in nodes),
        keeps_shards=any(node.shouldhaveshards for node in nodes),
        existing=frozenset(row.relname for row in connection.execute(_EXISTING, own)),
        tables=frozenset(row.name for row in tables),
        left_rows=frozenset(row.name for row in tables if row.has_local_rows),
        foreign_keys=tuple(ForeignKey(*row) for row in connection.execute(_FOREIGN_KEYS, own)),
        functions=tuple(Function(*row) for row in connection.execute(_FUNCTIONS, own)),
        shards=_shards(connection),
        settings=frozenset(tuple(row.setting.split("=", 1)) for row in connection.execute(_SETTINGS)),
    )


def _shards(connection: Connection) -> tuple[Mapping[str, int], ...]:
    parts: dict[str, dict[str, int]] = {}
    for row in connection.execute(_SHARDS, {"schema": SCHEMA}):
        parts.setdefault(row.lowest, {})[row.name] = row.number
    return tuple(parts.values())


def _numbers(release: str) -> tuple[int, ...]:
    """Return the numbers of `Citus 13.2.2 on ...`; of a development version those that it has."""
    found = re.search(r"Citus ([0-9.]+)", release)
    return tuple(int(number) for number in found[1].strip(".").split(".")) if found else ()


def is_distributed(connection: Connection) -> bool:
    """Return whether a table of ours is distributed."""
    if connection.scalar(_EXTENSION) is None:
        return False
    return connection.execute(_TABLES, {"schema": SCHEMA}).first() is not None


def use_one_connection_to_each_node(connection: Connection) -> None:
    """Let each transaction of this session go through shards one after the other, where tables are distributed.

    Citus refuses to change a table or a function after a statement of the same transaction that went through several.
    """
    if is_distributed(connection):
        connection.execute(_ONE_BY_ONE)
