"""Migrations: several replicas may start one at once; one runs it, the others wait and then find it done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, MetaData, text

from livingworld.errors import LockTimeout, MigrationTimeout
from livingworld.observability import events
from livingworld.postgres.connections.one_connection import connected
from livingworld.postgres.connections.scope import MAINTAIN
from livingworld.postgres.metadata import MADE_BY_COMMAND, SCHEMA, VERSION_TABLE, is_shard
from livingworld.postgres.migration_run import Migrated, MigrationRun
from livingworld.postgres.schema_differences import describe
from livingworld.postgres.upgrades.attempts import until_done
from livingworld.postgres.upgrades.plan import PlannedStep, planned_steps
from livingworld.postgres.upgrades.progress import Progress
from livingworld.postgres.upgrades.turn import LOCK, LOCK_KEY, take_turn

T = TypeVar("T")

_one_at_a_time: Final = threading.Lock()  # alembic keeps its state in a module
_POLL_SECONDS: Final = 0.02

DEFAULT_LOCK_TIMEOUT: Final = timedelta(seconds=60)
#: No statement of a downgrade, or of a script, may run longer.
_STATEMENT_TIMEOUT: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """Where a database stands."""

    #: Its revision, or None when it was never migrated.
    current: str | None
    #: The newest revision of this release.
    head: str
    #: The revisions that an upgrade would run, oldest first.
    pending: tuple[str, ...]


class _PreviewDone(Exception):  # noqa: N818 - a signal that rolls a migration back
    """The previewed migration is complete and is rolled back."""


def script_location() -> Path:
    """Return the folder of the migrations: inside the package when installed from a wheel, else the checkout's."""
    package = Path(__file__).parents[1]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "alembic"


def revisions() -> list[str]:
    """Return every revision of this release, oldest first, by the names of their files: nothing is read."""
    return sorted(path.name.partition("_")[0] for path in (script_location() / "versions").glob("[0-9]*.py"))


async def upgrade(
    url: str | URL,
    revision: str = "head",
    *,
    lock_timeout: timedelta = DEFAULT_LOCK_TIMEOUT,
    tell: Callable[[str], None] | None = None,
) -> Migrated:
    """Bring the database to `revision`, step by step while others read and write, and return what ran.

    Waits for another process that migrates; raises MigrationTimeout after `lock_timeout`. A step that stops others
    gives up after two seconds, makes way and is tried again; raises MigrationBlocked when that has lasted for
    `lock_timeout`. What was done stays, and doing it again goes on after it. `tell` gets a line now and then.
    """
    done = Migrated()
    progress = Progress(lock_timeout) if tell is None else Progress(lock_timeout, tell)

    def attempt(connection: Connection) -> None:
        config = _config()
        config.attributes["run"] = MigrationRun(connection, done, progress)
        command.upgrade(config, revision)

    async with _alone(), turn(url, lock_timeout):
        await until_done(url, attempt, progress)
    events.emit(events.MIGRATED, revision=revision)
    return done


async def upgrade_if_behind(url: str | URL, *, lock_timeout: timedelta = DEFAULT_LOCK_TIMEOUT) -> None:
    """Bring the database to the newest revision; an application's role, which may not do so, may find it there."""
    if (await status(url)).pending:
        await upgrade(url, lock_timeout=lock_timeout)


async def plan(url: str | URL, revision: str = "head") -> list[PlannedStep]:
    """Return the steps that an upgrade to `revision` would perform, and whom each one stops; changes nothing."""
    scripts = ScriptDirectory(str(script_location()))
    named = [script.revision for script in scripts.get_revisions(revision)]
    pending = (await status(url)).pending
    ahead = [each for number, each in enumerate(pending) if set(pending[number:]) & set(named)]
    return await _inspect(url, lambda connection: planned_steps(connection, map(scripts.get_revision, ahead)))


async def downgrade(
    url: str | URL, revision: str, *, destroy_data: bool = False, lock_timeout: timedelta = DEFAULT_LOCK_TIMEOUT
) -> Migrated:
    """Take the database back to `revision`, in one transaction, and return what ran; `base` removes every table.

    Raises DataWouldBeLost, with everything as it was, when a row or a value would be lost and `destroy_data` is not
    True. No other session writes meanwhile. Waits and raises as `upgrade` does.
    """
    return await _run(command.downgrade, url, revision, lock_timeout, may_lose_data=destroy_data)


async def preview_downgrade(
    url: str | URL, revision: str, *, lock_timeout: timedelta = DEFAULT_LOCK_TIMEOUT
) -> Migrated:
    """Return what `downgrade` would do: it is run and rolled back, so no other session can write meanwhile."""

    def preview(config: Config, revision: str) -> None:
        command.downgrade(config, revision)
        raise _PreviewDone

    return await _run(preview, url, revision, lock_timeout, may_lose_data=True)


async def status(url: str | URL) -> MigrationStatus:
    """Return where the database stands; changes nothing."""
    scripts = ScriptDirectory(str(script_location()))
    current = await _inspect(url, lambda connection: _context(connection).get_current_revision())
    head = scripts.get_current_head() or "base"
    revisions = [script.revision for script in scripts.iterate_revisions(head, current or "base")]
    return MigrationStatus(current, head, tuple(reversed(revisions)))


async def check(url: str | URL, metadata: MetaData) -> list[str]:
    """Return how the database differs from the tables of this release, a line each; empty when it does not."""
    return describe(await _inspect(url, lambda connection: compare_metadata(_context(connection), metadata)))


@asynccontextmanager
async def turn(url: str | URL, lock_timeout: timedelta) -> AsyncIterator[None]:
    """Let no other process migrate in the block; raises MigrationTimeout after `lock_timeout`."""
    async with connected(url) as connection:
        await take_turn(connection, lock_timeout)
        yield


def limit_downgrade(connection: Connection, lock_timeout: timedelta) -> None:
    """Let no statement of the transaction wait longer for a lock, or run longer than a migration may."""
    limits = {"lock_timeout": lock_timeout, "statement_timeout": _STATEMENT_TIMEOUT}
    for name, limit in limits.items():
        value = f"{limit // timedelta(milliseconds=1)}ms"
        connection.execute(text(f"SET LOCAL {name} = '{value}'"))
    connection.execute(MAINTAIN)  # a revision, and the count of what it takes away, go through all worlds


def make_schema(connection: Connection) -> None:
    """Create the schema where it is missing."""
    exists = connection.scalar(text("SELECT to_regnamespace(:name) IS NOT NULL"), {"name": SCHEMA})
    if not exists:  # not IF NOT EXISTS: that needs the right to create schemas even where an administrator made it
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))


def turn_as_sql() -> list[str]:
    """Return the statements by which a script takes its turn in its one transaction, and makes the schema."""
    return [
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        f"SET LOCAL lock_timeout = '{DEFAULT_LOCK_TIMEOUT.total_seconds():.0f}s'",
        f"SET LOCAL statement_timeout = '{_STATEMENT_TIMEOUT.total_seconds():.0f}s'",
        LOCK.replace(":key", str(LOCK_KEY)),
        MAINTAIN.text,
        f"DO $$BEGIN IF to_regnamespace('{SCHEMA}') IS NULL THEN CREATE SCHEMA {SCHEMA}; END IF; END$$",
    ]


_Task = Callable[[Config, str], object]


async def _run(task: _Task, url: str | URL, revision: str, lock_timeout: timedelta, *, may_lose_data: bool) -> Migrated:
    """Take the database back, in one transaction."""
    done = Migrated()

    def migrate(connection: Connection) -> None:
        config = _config()
        config.attributes["run"] = MigrationRun(connection, done, Progress(lock_timeout), may_lose_data=may_lose_data)
        task(config, revision)

    try:
        async with _alone(), turn(url, lock_timeout), connected(url) as connection, connection.begin():
            await connection.run_sync(migrate)
    except LockTimeout as error:
        raise MigrationTimeout from error.__cause__
    except _PreviewDone:
        return done
    events.emit(events.MIGRATED, revision=revision)
    return done


@asynccontextmanager
async def _alone() -> AsyncIterator[None]:
    """Wait until no other thread or event loop of this process migrates."""
    while not _one_at_a_time.acquire(blocking=False):  # noqa: ASYNC110 - an asyncio.Event belongs to one event loop
        await asyncio.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        _one_at_a_time.release()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(script_location()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


async def _inspect(url: str | URL, look: Callable[[Connection], T]) -> T:
    async with connected(url) as connection:
        return await connection.run_sync(look)


def _context(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts=comparison_options())


def comparison_options() -> dict[str, Any]:
    """Return what alembic needs to find livingworld's tables and no others; shared with alembic/env.py."""
    return {
        "version_table": VERSION_TABLE,
        "version_table_schema": SCHEMA,
        "include_schemas": True,
        "include_name": _is_ours,
        "include_object": _is_no_part,
        "compare_type": True,
        "compare_server_default": True,
    }


def _is_no_part(item: Any, _name: object, kind: str, *_: object) -> bool:  # noqa: ANN401 - what alembic compares
    """Leave out the foreign keys to single partitions, which PostgreSQL keeps beside the one to their table."""
    return kind != "foreign_key_constraint" or item.referred_table.schema == SCHEMA


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    if kind == "schema":
        return name == SCHEMA
    if kind == "index":
        return not str(name).startswith(MADE_BY_COMMAND)
    return not (kind == "table" and (name == VERSION_TABLE or is_shard(str(name))))
