"""What is left to do until a database is distributed: each step is small, and is found again when it was not done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from sqlalchemy import ForeignKeyConstraint, MetaData, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import AddConstraint

from livingworld.postgres.distribution.cluster import Cluster
from livingworld.postgres.distribution.functions import as_plpgsql
from livingworld.postgres.distribution.shard_functions import LOCAL_SHARD, is_written
from livingworld.postgres.distribution.shard_steps import functions_of_shards
from livingworld.postgres.distribution.step import BESIDE, Step, known
from livingworld.postgres.metadata import SCHEMA, VERSION_TABLE

#: What each session of the database, on every node, has to have.
SETTINGS: Final = {
    # A function that is called by a statement of a shard reads tables of its own.
    "citus.allow_nested_distributed_execution": "on",
    # A time limit that is set in a transaction holds on the node that has the row.
    "citus.propagate_set_commands": "local",
    # asyncpg looks types up in the catalogue, which takes seconds where Citus hides its shards from each look.
    "citus.override_table_visibility": "off",
}
#: From 13.2.1 on Citus plans a statement for its shard at each call and keeps every such plan, since it never finds an
#: earlier one: a session grows by 0.5 MB with each append. A call with a plan of its own keeps none.
_KEEPS_EVERY_PLAN_FROM: Final = (13, 2, 1)
_PLANS_OF_ONE_CALL: Final = {"plan_cache_mode": "force_custom_plan"}


def reference_tables(metadata: MetaData) -> frozenset[str]:
    """Return the tables that every node has whole: those with a key of the database, and that of the revision."""
    of_the_database = {
        table.name
        for table in metadata.sorted_tables
        for index in table.indexes
        if index.unique and "world_id" not in index.columns
    }
    return frozenset(of_the_database | {VERSION_TABLE})


def steps(cluster: Cluster, metadata: MetaData, limits: Mapping[str, str], shards: int, database: str) -> list[Step]:
    """Return what is left to do, in order; nothing when the database is distributed and whole.

    `limits` are the time limits that sessions of one node to another need, by the name of the setting.
    """
    return [
        *_settings(cluster, settings_of(cluster) | dict(limits), database),
        *_freed(cluster, metadata),
        *_tables(cluster, metadata, shards),
        *_foreign_keys(cluster, metadata),
        *_functions(cluster, metadata),
        *(() if _undistributed(cluster, metadata) else functions_of_shards(cluster, metadata, _plans(cluster))),
    ]


def settings_of(cluster: Cluster) -> dict[str, str]:
    """Return what each session has to have on this release of Citus."""
    return SETTINGS | (_PLANS_OF_ONE_CALL if cluster.release >= _KEEPS_EVERY_PLAN_FROM else {})


def _plans(cluster: Cluster) -> str:
    return settings_of(cluster).get("plan_cache_mode", "auto")


def _settings(cluster: Cluster, settings: Mapping[str, str], database: str) -> Iterator[Step]:
    for name, value in settings.items():
        if (name, value) not in cluster.settings:
            yield Step(f"the setting {name} = {value}", (f"ALTER DATABASE {database} SET {name} = '{value}'",))


def _undistributed(cluster: Cluster, metadata: MetaData) -> list[str]:
    """Return the tables that are local yet: those of every node first, and the one that others stand beside."""
    everywhere = sorted(reference_tables(metadata))
    first = [*everywhere, BESIDE]
    ours = [*first, *(table.name for table in metadata.sorted_tables if table.name not in first)]
    return [name for name in ours if name in cluster.existing - cluster.tables]


def _freed(cluster: Cluster, metadata: MetaData) -> Iterator[Step]:
    """Drop the foreign keys from and to tables that are local yet: Citus takes no local table between them."""
    local = set(_undistributed(cluster, metadata))
    held = [key for key in cluster.foreign_keys if {key.child, key.parent} & local]
    if held:
        drops = (f"ALTER TABLE {SCHEMA}.{key.child} DROP CONSTRAINT {key.name}" for key in held)
        yield Step("foreign keys between shards", tuple(drops))


def _tables(cluster: Cluster, metadata: MetaData, shards: int) -> Iterator[Step]:
    everywhere = reference_tables(metadata)
    for name in _undistributed(cluster, metadata):
        table = f"'{SCHEMA}.{name}'"
        rest = f"SELECT truncate_local_data_after_distributing_table({table})"
        if name in everywhere:
            yield Step(f"the table {name} on every node", (f"SELECT create_reference_table({table})", rest))
            continue
        place = f"colocate_with => '{SCHEMA}.{BESIDE}'"
        if name == BESIDE:
            place = f"shard_count => {shards}, colocate_with => 'none'"
        create = f"SELECT create_distributed_table({table}, 'world_id', {place})"
        yield Step(f"the table {name} by world_id", (create, rest))


def _foreign_keys(cluster: Cluster, metadata: MetaData) -> Iterator[Step]:
    local = set(_undistributed(cluster, metadata))
    there = {key.name for key in cluster.foreign_keys if not {key.child, key.parent} & local}
    for table in (each for each in metadata.sorted_tables if each.name in cluster.existing):
        for constraint in sorted(_keys_of(table), key=lambda key: str(key.name)):
            if str(constraint.name) not in there:
                added = AddConstraint(constraint, isolate_from_table=False)  # else create_all leaves it out
                compiled = added.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
                yield Step(f"the foreign key {constraint.name}", (" ".join(str(compiled).split()),))


def _keys_of(table: Table) -> list[ForeignKeyConstraint]:
    return [each for each in table.constraints if isinstance(each, ForeignKeyConstraint)]


def _functions(cluster: Cluster, metadata: MetaData) -> Iterator[Step]:
    """Make every function known to every node; a call that is a whole statement runs on the node of its world."""
    for function in cluster.functions:
        if function.name in metadata.info["written_for_shards"] or is_written(function.name):
            continue
        statements: list[str] = []
        if function.language == "sql" and (rewritten := as_plpgsql(function.name)) is not None:
            statements.append(rewritten)
        if function.plan_cache_mode is not None and function.name != LOCAL_SHARD:
            statements.append(f"ALTER FUNCTION {function.signature} RESET plan_cache_mode")
        is_routed = function.name in metadata.info["called_alone"]
        if not function.is_known or statements or is_routed != function.is_routed:
            statements.append(known(f"'{function.signature}'", is_routed=is_routed))
        if statements:
            yield Step(f"the function {function.name} for every node", tuple(statements))
