"""One run of the migrations: what alembic/env.py is told, and what it tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from alembic.runtime.migration import MigrationInfo
from sqlalchemy import Connection

from livingworld.errors import DataWouldBeLost
from livingworld.postgres.stored_data import count_values, lost_data


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
        """Remember one revision: alembic's callback, with the names that it calls it by."""
        if not self.revisions:
            self.before = next(iter(step.source_revision_ids), None)
        self.after = next(iter(step.destination_revision_ids), None)
        self.revisions.append(str(step.up_revision_id))


@dataclass(frozen=True, slots=True)
class MigrationRun:
    """What is to be kept to."""

    connection: Connection
    lock_timeout: timedelta
    done: Migrated = field(default_factory=Migrated)
    #: For a downgrade whether it may destroy what is stored; None for an upgrade, which never does.
    may_lose_data: bool | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note what the block takes away; raises DataWouldBeLost, which rolls it back, when that is not allowed."""
        if self.may_lose_data is None:
            yield
            return
        before = count_values(self.connection)
        yield
        self.done.lost = lost_data(before, count_values(self.connection))
        if self.done.lost and not self.may_lose_data:
            raise DataWouldBeLost(lost=self.done.lost, revisions=tuple(self.done.revisions))
