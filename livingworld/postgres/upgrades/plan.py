"""What an upgrade would do, step by step: what each locks, who waits and for how long, and what it rewrites."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from alembic.script import Script
from sqlalchemy import Connection, text

from livingworld.postgres.connections.scope import MAINTAIN
from livingworld.postgres.metadata import SCHEMA
from livingworld.postgres.upgrades.step import Step

_SIZES: Final = text("""
    SELECT count(*) AS tables, coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint AS rows,
        pg_size_pretty(coalesce(sum(pg_table_size(c.oid)), 0)) AS size,
        array_agg(c.relname::text ORDER BY c.relname) AS names
    FROM pg_class c
    WHERE c.relnamespace = to_regnamespace(:schema) AND c.relname = ANY (CAST(:tables AS text[]))
""")


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of an upgrade, as far as it can be known before."""

    revision: str
    #: What it does.
    title: str
    #: The lock that it takes, and on which tables.
    locks: str
    #: Who waits meanwhile.
    stops: str
    #: How long one of its statements may stop them; None: it stops nobody.
    at_most: timedelta | None
    #: What it reads whole and what it rewrites, with PostgreSQL's own guess of how many rows that is.
    reads: str
    rewrites: str
    #: True when an earlier run, which did not come to the end, has done it.
    done: bool


def planned_steps(connection: Connection, scripts: Iterable[Script]) -> list[PlannedStep]:
    """Return the steps of revisions, in order."""
    connection.execute(MAINTAIN)  # whether a back-fill is done, the rows of all worlds say
    planned: list[PlannedStep] = []
    for script in scripts:
        for step in script.module.STEPS:
            # After one that is not done none is; what it looks at may not be there yet.
            done = all(before.done for before in planned) and step.is_done(connection)
            planned.append(_planned(connection, script.revision, step, done=done))
    return planned


def _planned(connection: Connection, revision: str, step: Step, *, done: bool) -> PlannedStep:
    sizes = connection.execute(_SIZES, {"schema": SCHEMA, "tables": list(step.tables)}).one()
    stops = step.lock.stops_writers and sizes.tables > 0
    tables = ", ".join(sizes.names or ())
    return PlannedStep(
        revision=revision,
        title=step.title,
        locks=f"{tables} ({step.lock.mode})" if tables else "nothing that is there",
        stops=step.lock.waiting if stops else "nobody waits",
        at_most=step.limits.statement if stops else None,
        reads=_read(step, sizes),
        rewrites=step.rewrites.format(rows=f"{sizes.rows:,} rows"),
        done=done,
    )


def _read(step: Step, sizes: Any) -> str:  # noqa: ANN401 - a row
    if not step.scans or not sizes.tables:
        return "nothing"
    times = "" if step.scans == 1 else " twice"
    return f"{sizes.rows:,} rows, {sizes.size}{times}"
