"""One run of the migrations: what alembic/env.py is given, and what it reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from alembic.runtime.migration import MigrationInfo
from sqlalchemy import Connection, inspect, text

from livingworld.errors import DataWouldBeLost
from livingworld.postgres.metadata import SCHEMA, VERSION_TABLE, is_shard
from livingworld.postgres.upgrades.progress import Progress

#: The key of a table's rows, beside those of its columns.
_ROWS: Final = "*"

#: By table and column how many values there are, and with `*` how many rows.
Counts = Mapping[str, Mapping[str, int]]


@dataclass(slots=True)
class Migrated:
    """What a migration did; nothing when there was nothing to do, or another process had done it."""

    #: The revisions that ran, in the order they did.
    revisions: list[str] = field(default_factory=list)
    #: Where the database stood before and stands now, None for nowhere; both None when nothing ran.
    before: str | None = None
    after: str | None = None
    #: What a downgrade took away: rows of each table, or values of a column of one that stays (`scenes.content`).
    lost: dict[str, int] = field(default_factory=dict)

    def note(self, ctx: object, step: MigrationInfo, heads: object, run_args: object) -> None:  # noqa: ARG002
        """Remember one revision: the callback of alembic, with the argument names that alembic uses."""
        if not self.revisions:
            self.before = next(iter(step.source_revision_ids), None)
        self.after = next(iter(step.destination_revision_ids), None)
        self.revisions.append(str(step.up_revision_id))


@dataclass(frozen=True, slots=True)
class MigrationRun:
    """What one run works on, and what it may do."""

    connection: Connection
    done: Migrated
    progress: Progress
    #: For a downgrade whether it may destroy what is stored; None for an upgrade, which never does.
    may_lose_data: bool | None = None

    @property
    def goes_back(self) -> bool:
        """Whether it is a downgrade, which is one transaction."""
        return self.may_lose_data is not None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note what the block takes away; raises DataWouldBeLost, which rolls it back, when that is not allowed."""
        if not self.goes_back:
            yield
            return
        before = count_values(self.connection)
        yield
        self.done.lost = lost_data(before, count_values(self.connection))
        if self.done.lost and not self.may_lose_data:
            raise DataWouldBeLost(lost=self.done.lost, revisions=tuple(self.done.revisions))


def count_values(connection: Connection) -> Counts:
    """Count the rows and values of every table; until the transaction ends no other session writes to them."""
    inspector = inspect(connection)
    inspector.clear_cache()
    named = set(inspector.get_table_names(schema=SCHEMA)) - {VERSION_TABLE}
    tables = sorted(name for name in named if not is_shard(name))  # Citus lets nobody lock one
    if not tables:
        return {}
    quote = connection.dialect.identifier_preparer.quote
    locked = ", ".join(f"{SCHEMA}.{quote(table)}" for table in tables)
    connection.execute(text(f"LOCK TABLE {locked} IN SHARE MODE"))
    counts: dict[str, Mapping[str, int]] = {}
    for table in tables:
        columns = [column["name"] for column in inspector.get_columns(table, schema=SCHEMA)]
        wanted = ", ".join(["count(*)", *(f"count({quote(column)})" for column in columns)])
        row = connection.execute(text(f"SELECT {wanted} FROM {SCHEMA}.{quote(table)}")).one()  # noqa: S608 - quoted
        counts[table] = dict(zip([_ROWS, *columns], map(int, row), strict=True))
    return counts


def lost_data(before: Counts, after: Counts) -> dict[str, int]:
    """Return how many rows each table lost, and how many values each dropped column of a table that stays."""
    lost: dict[str, int] = {}
    for table, counts in before.items():
        left = after.get(table, {})
        if (rows := counts[_ROWS] - left.get(_ROWS, 0)) > 0:
            lost[table] = rows
        elif left:
            gone = {f"{table}.{column}": count for column, count in counts.items() if column not in left and count}
            lost |= gone
    return lost
