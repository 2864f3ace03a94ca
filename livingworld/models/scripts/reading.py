"""Reading scripts: what is active, what there is, and where each version runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, func, select, tuple_

from livingworld.errors import ScriptNotFound
from livingworld.models.scripts.records import ScriptExecution, ScriptHead, ScriptUsage, ScriptVersion
from livingworld.models.scripts.rows import make_execution, make_head, make_usage, make_version
from livingworld.models.scripts.tables import script_executions, script_versions, scripts
from livingworld.postgres.keyset import Page, page_by
from livingworld.postgres.transactions.transaction import Transaction


async def read(tx: Transaction, name: str, version: int | None) -> ScriptVersion:
    """Return a version of a script, or the active one; raises ScriptNotFound."""
    wanted = scripts.c.active_version if version is None else version
    of_script = and_(
        script_versions.c.world_id == tx.world_id,
        script_versions.c.name == scripts.c.name,
        script_versions.c.version == wanted,
    )
    statement = select(script_versions).join_from(scripts, script_versions, of_script)
    own = (scripts.c.world_id == tx.world_id, scripts.c.name == name)
    row = (await tx.execute(statement.where(*own))).one_or_none()
    if row is None:
        raise ScriptNotFound
    return make_version(row)


async def read_heads(tx: Transaction, after: str | None, limit: int) -> Page[ScriptHead]:
    """Return a page of the scripts of a world, in the order of code points of their names."""
    newest = and_(
        script_versions.c.world_id == tx.world_id,
        script_versions.c.name == scripts.c.name,
        script_versions.c.version == scripts.c.last_version,
    )
    statement = (
        select(scripts, script_versions.c.digest)
        .join_from(scripts, script_versions, newest)
        .where(scripts.c.world_id == tx.world_id)
        .order_by(scripts.c.name)
    )
    if after is not None:
        statement = statement.where(scripts.c.name > after)
    rows = await tx.execute(statement.limit(limit + 1))
    return page_by([make_head(row) for row in rows], limit, lambda head: head.name)


async def read_active(tx: Transaction) -> Mapping[str, int]:
    """Return which version of each script is active, by name: all at one moment."""
    statement = select(scripts.c.name, scripts.c.active_version).where(
        scripts.c.world_id == tx.world_id, scripts.c.active_version.is_not(None)
    )
    return {row.name: row.active_version for row in await tx.execute(statement)}


async def read_bodies(tx: Transaction, versions: Collection[tuple[str, int]]) -> tuple[ScriptVersion, ...]:
    """Return these versions; they are what they were whenever this is asked."""
    wanted = tuple_(script_versions.c.name, script_versions.c.version).in_(list(versions))
    statement = select(script_versions).where(script_versions.c.world_id == tx.world_id, wanted)
    return tuple(make_version(row) for row in await tx.execute(statement))


async def read_usage(tx: Transaction, name: str, before: int, limit: int) -> Page[ScriptUsage]:
    """Return a page of the versions of a script with the processes that run them, the newest version first."""
    rows = (await tx.execute(_usage(tx.world_id, name, before, limit + 1))).all()
    running: dict[int, list[ScriptExecution]] = {}
    versions: dict[int, Row[Any]] = {}
    for row in rows:
        versions[row.number] = row
        found = running.setdefault(row.number, [])
        if row.execution_id is not None:
            found.append(make_execution(row))
    usages = [make_usage(row, tuple(running[number])) for number, row in versions.items()]
    return page_by(usages, limit, lambda usage: usage.version)


def _usage(world_id: UUID, name: str, before: int, limit: int) -> Select[Any]:
    """Return one statement, so that versions and executions are those of one moment."""
    columns, runs = script_versions.c, script_executions.c
    page = (
        select(*(each for each in columns if each.name not in {"version", "body"}), columns.version.label("number"))
        .where(columns.world_id == world_id, columns.name == name, columns.version < before)
        .order_by(columns.version.desc())
        .limit(limit)
        .subquery("page")
    )
    here = and_(scripts.c.world_id == world_id, scripts.c.name == page.c.name)
    alive = and_(
        runs.world_id == world_id,
        runs.name == page.c.name,
        runs.version == page.c.number,
        runs.expires_at > func.now(),
    )
    shown = (runs.execution_id, runs.process_id, runs.host, runs.pid, runs.since)
    return (
        select(page, scripts.c.active_version, scripts.c.activated_at, *shown)
        .join_from(page, scripts, here)
        .outerjoin(script_executions, alive)
        .order_by(page.c.number.desc(), runs.since, runs.execution_id)
    )
